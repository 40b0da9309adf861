/** Downloads one file over HTTP: in child processes that are killed when silent, resumed where it broke off, checked by digest. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AttemptFailed, runChildAttempt } from '../processes/childAttempt.ts';

/** What the whole file must hash to: plain SHA-256, or Git's SHA-1 of the blob (what the hub knows of small files). */
export type ExpectedDigest = { algorithm: 'sha256' | 'gitBlob'; hex: string };

export interface Download {
  url: string;
  /** Final path. Until the file is whole and checked it is `<path>.partial`. */
  path: string;
  digest?: ExpectedDigest;
  headers?: Record<string, string>;
  /** Longest wait for the first byte. @default 10_000 */
  firstByteMs?: number;
  /** Longest silence after that. @default 30_000 */
  stallMs?: number;
  /** Bytes on disk and in all (0 = unknown). */
  onProgress?: (bytes: number, total: number) => void;
  signal?: AbortSignal;
}

/** Attempts in a row that bring nothing before giving up; one that brought bytes starts the count anew. */
const fruitlessAttempts = 2;

/**
 * Downloads to `path`. Bytes of an earlier, broken download (also of an earlier process) are kept and continued.
 * @throws AttemptFailed when no attempt brings more, or when the whole file has another digest (it is deleted then).
 */
export async function downloadFile(download: Download): Promise<void> {
  const { path, onProgress, signal } = download;
  await mkdir(dirname(path), { recursive: true });
  const partial = `${path}.partial`;
  for (let fruitless = 0; ;) {
    const before = await sizeOf(partial);
    try {
      await attempt(download, partial);
      break;
    } catch (error) {
      const broken = error instanceof AttemptFailed && !signal?.aborted;
      fruitless = (await sizeOf(partial)) > before ? 0 : fruitless + 1;
      if (!broken || fruitless >= fruitlessAttempts) throw error;
    }
  }
  const found = download.digest && (await digestOf(partial, download.digest.algorithm));
  if (found !== download.digest?.hex) {
    await rm(partial, { force: true });
    throw new AttemptFailed(
      `brought another file than expected (${download.digest?.algorithm} ${found}, expected ${download.digest?.hex}); it was deleted`,
      '',
    );
  }
  const size = await sizeOf(partial);
  await rename(partial, path);
  onProgress?.(size, size);
}

async function attempt(
  { url, headers = {}, firstByteMs, stallMs, onProgress, signal }: Download,
  file: string,
): Promise<void> {
  // In the repository the source is run; in an installed package its compiled form.
  const extension = import.meta.filename.endsWith('.ts') ? '.ts' : '.js';
  const script = fileURLToPath(new URL(`./fetchToFile${extension}`, import.meta.url));
  await runChildAttempt({
    command: process.execPath,
    args: [childScript(script), JSON.stringify({ url, file, headers })],
    // Node's fetch looks at HTTPS_PROXY only when asked to.
    env: { ...process.env, NODE_USE_ENV_PROXY: '1' },
    firstSignMs: firstByteMs ?? 10_000,
    stallMs: stallMs ?? 30_000,
    onLine: (line) => {
      const [, bytes, total] = /^(\d+) (\d+)$/.exec(line) ?? [];
      if (bytes !== undefined) onProgress?.(Number(bytes), Number(total));
    },
    ...(signal && { signal }),
  });
}

/** In the published package the script is compiled. */
export function childScript(path: string): string {
  return existsSync(path) ? path : path.replace(/\.ts$/, '.js');
}

async function digestOf(path: string, algorithm: ExpectedDigest['algorithm']): Promise<string> {
  const hash = createHash(algorithm === 'sha256' ? 'sha256' : 'sha1');
  if (algorithm === 'gitBlob') hash.update(`blob ${await sizeOf(path)}\0`);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0;
}
