/**
 * Child process of `downloadFile.ts`: reads `{url, file, headers}` as JSON from its first argument, appends what is missing of the URL to FILE
 * (Range request) and prints `<bytes so far> <total or 0>` at most every 200 ms. A process of its own because a connection that a proxy
 * swallows can not be trusted to end by itself.
 */
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';

interface Request {
  url: string;
  file: string;
  headers: Record<string, string>;
}

async function fetchToFile({ url, file, headers }: Request): Promise<void> {
  const present = (await stat(file).catch(() => undefined))?.size ?? 0;
  const response = await fetch(url, {
    // Compressed transfer would make ranges and lengths mean something else.
    headers: { 'accept-encoding': 'identity', ...headers, ...(present > 0 ? { range: `bytes=${present}-` } : {}) },
  });
  if (response.status === 416) {
    // Nothing is left to fetch, or the file at the other end is another one: the digest will tell.
    console.log(`${present} ${present}`);
    return;
  }
  if (!response.ok || !response.body) throw new Error(`the server answered ${response.status} ${response.statusText}`);
  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  const resumes = response.status === 206 && Number(range?.[1]) === present;
  if (response.status === 206 && !resumes) throw new Error('the server sent another range than asked for');
  const start = resumes ? present : 0;
  const length = Number(response.headers.get('content-length') ?? 0);
  const total = resumes ? Number(range?.[2]) : length;
  let bytes = start;
  let printed = 0;
  console.log(`${bytes} ${total}`);
  const body = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
  body.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (Date.now() - printed >= 200) {
      printed = Date.now();
      console.log(`${bytes} ${total}`);
    }
  });
  await pipeline(body, createWriteStream(file, { flags: resumes ? 'a' : 'w' }));
  console.log(`${bytes} ${total}`);
  if (total > 0 && bytes !== total) throw new Error(`the connection ended after ${bytes} of ${total} bytes`);
}

try {
  await fetchToFile(JSON.parse(process.argv[2] ?? '') as Request);
} catch (error) {
  const cause = (error as Error).cause;
  console.error(`${(error as Error).message}${cause instanceof Error ? ` (${cause.message})` : ''}`);
  process.exit(1);
}
