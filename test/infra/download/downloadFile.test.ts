import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { downloadFile } from '../../../infra/download/downloadFile.ts';

const content = randomBytes(300_000);
const sha256 = createHash('sha256').update(content).digest('hex');
const digest = { algorithm: 'sha256' as const, hex: sha256 };

let folder: string;
let server: Server;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let ranges: (string | undefined)[];
let url: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-download-'));
  ranges = [];
  server = createServer((request, response) => {
    ranges.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

/** Serves ranges; `cut` bytes after the start of each answer the connection breaks. */
const serve =
  (cut = Infinity) =>
  (request: IncomingMessage, response: ServerResponse) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const rest = content.subarray(start);
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': rest.length,
      ...(start > 0 ? { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
    });
    if (rest.length <= cut) response.end(rest);
    else response.write(rest.subarray(0, cut), () => setTimeout(() => response.destroy(), 50));
  };

describe('downloadFile', () => {
  it('writes the file under its name only when it is whole', async () => {
    answer = serve();
    const progress: number[] = [];
    await downloadFile({ url, path: join(folder, 'sub', 'x'), digest, onProgress: (bytes) => progress.push(bytes) });
    expect((await readFile(join(folder, 'sub', 'x'))).equals(content)).toBe(true);
    expect(await readdir(join(folder, 'sub'))).toEqual(['x']);
    expect(progress[0]).toBe(0);
    expect(progress.at(-1)).toBe(content.length);
  });

  it('goes on where the connection broke, as long as each attempt brings something', async () => {
    answer = serve(100_000);
    await downloadFile({ url, path: join(folder, 'x'), digest });
    expect((await readFile(join(folder, 'x'))).equals(content)).toBe(true);
    expect(ranges).toEqual([undefined, 'bytes=100000-', 'bytes=200000-']);
  });

  it('goes on with what an earlier process left', async () => {
    answer = serve();
    await writeFile(join(folder, 'x.partial'), content.subarray(0, 7));
    await downloadFile({ url, path: join(folder, 'x'), digest });
    expect(ranges).toEqual(['bytes=7-']);
    expect((await readFile(join(folder, 'x'))).equals(content)).toBe(true);
  });

  it('takes a left file that is already whole', async () => {
    answer = (_, response) => response.writeHead(416).end();
    await writeFile(join(folder, 'x.partial'), content);
    await downloadFile({ url, path: join(folder, 'x'), digest });
    expect((await readFile(join(folder, 'x'))).equals(content)).toBe(true);
  });

  it('starts anew where the server knows no ranges', async () => {
    answer = (_, response) => response.writeHead(200).end(content);
    await writeFile(join(folder, 'x.partial'), 'something else');
    await downloadFile({ url, path: join(folder, 'x'), digest });
    expect((await readFile(join(folder, 'x'))).equals(content)).toBe(true);
  });

  it('checks a Git blob digest', async () => {
    answer = serve();
    const hex = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
    await downloadFile({ url, path: join(folder, 'x'), digest: { algorithm: 'gitBlob', hex } });
    expect((await readFile(join(folder, 'x'))).equals(content)).toBe(true);
  });

  it('deletes a file with another digest and says so', async () => {
    answer = (_, response) => response.writeHead(200).end('another file');
    await expect(downloadFile({ url, path: join(folder, 'x'), digest })).rejects.toThrow(
      /brought another file than expected/,
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it('gives up on a server that accepts and never answers', async () => {
    answer = () => undefined;
    await expect(downloadFile({ url, path: join(folder, 'x'), digest, firstByteMs: 1500 })).rejects.toThrow(
      /gave no sign of life for 1.5 s/,
    );
    expect(ranges).toHaveLength(2);
  });

  it('gives up on a server that stalls, keeping what came', async () => {
    answer = (request, response) => {
      if (request.headers.range === undefined) {
        response.writeHead(200, { 'content-length': content.length }).write(content.subarray(0, 1000));
      } else {
        response
          .writeHead(206, { 'content-range': `bytes 1000-${content.length - 1}/${content.length}` })
          .flushHeaders();
      }
    };
    await expect(
      downloadFile({ url, path: join(folder, 'x'), digest, firstByteMs: 5000, stallMs: 1000 }),
    ).rejects.toThrow(/stalled/);
    expect((await readFile(join(folder, 'x.partial'))).equals(content.subarray(0, 1000))).toBe(true);
    expect(await readdir(folder)).toEqual(['x.partial']);
  });

  it('names the status of a refusal', async () => {
    answer = (_, response) => response.writeHead(403, 'Forbidden').end();
    await expect(downloadFile({ url, path: join(folder, 'x') })).rejects.toThrow(/the server answered 403 Forbidden/);
  });

  it('stops when told to', async () => {
    const stop = new AbortController();
    answer = () => stop.abort();
    await expect(downloadFile({ url, path: join(folder, 'x'), signal: stop.signal })).rejects.toThrow(/was stopped/);
    expect(ranges).toHaveLength(1);
  });
});
