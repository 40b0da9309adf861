/**
 * Child process of `installCli.ts`: `node fetchArchive.ts URL FILE` downloads URL to FILE and prints a line a MiB.
 * A process of its own because a connection that a proxy swallows can not be trusted to end by itself.
 */
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';

const [url, file] = process.argv.slice(2);
if (!url || !file) throw new Error('usage: fetchArchive URL FILE');

try {
  const response = await fetch(url);
  if (!response.ok || !response.body) throw new Error(`answered ${response.status} ${response.statusText}`);
  const total = Number(response.headers.get('content-length'));
  console.log(`downloading ${total || 'an unknown number of'} bytes`);
  let bytes = 0;
  let printed = 0;
  const body = Readable.fromWeb(response.body as ReadableStream<Uint8Array>);
  body.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (bytes - printed >= 1 << 20) {
      printed = bytes;
      console.log(`${bytes} bytes`);
    }
  });
  await pipeline(body, createWriteStream(file));
  if (total && bytes !== total) throw new Error(`ended after ${bytes} of ${total} bytes`);
} catch (error) {
  const cause = (error as Error).cause;
  console.error(`${(error as Error).message}${cause instanceof Error ? ` (${cause.message})` : ''}`);
  process.exit(1);
}
