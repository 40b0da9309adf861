import { spawn } from 'node:child_process';
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';

/** One attempt at a download or set-up step, run in its own process so that a hang can be ended from outside. */
export interface ChildAttempt {
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  /** Longest wait for the first sign of life. @default 10_000 */
  firstSignMs?: number;
  /** Longest silence after that. @default 30_000 */
  stallMs?: number;
  /** A folder whose growth counts as a sign of life, for programs that download without printing (pip). */
  watchFolder?: string;
  /** Each line of standard output and standard error. */
  onLine?: (line: string) => void;
  signal?: AbortSignal;
}

/** How an attempt failed; `reason` completes the sentence "the download ...". */
export class AttemptFailed extends Error {
  readonly reason: string;
  readonly outputTail: string;

  constructor(reason: string, outputTail: string) {
    super(outputTail ? `${reason}: ${outputTail}` : reason);
    this.name = 'AttemptFailed';
    this.reason = reason;
    this.outputTail = outputTail;
  }
}

const WATCH_INTERVAL_MS = 500;

/**
 * Runs a program to its end. A sign of life is output or growth of `watchFolder`; a silent program is killed
 * (SIGKILL, with everything it started), because a proxy that swallows connections makes downloads hang for minutes.
 *
 * @returns the whole output (standard output and standard error, in order of arrival; the last 64 KiB).
 * @throws AttemptFailed when it can not be started, is silent for too long, is aborted or ends with another code than 0.
 */
export async function runChildAttempt(attempt: ChildAttempt): Promise<string> {
  const { command, args, firstSignMs = 10_000, stallMs = 30_000 } = attempt;
  const child = spawn(command, args, {
    env: attempt.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const killGroup = (): void => {
    try {
      if (child.pid) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Already gone.
    }
  };

  let output = '';
  let deadline = Date.now() + firstSignMs;
  let signs = 0;
  const signOfLife = (): void => {
    signs++;
    deadline = Date.now() + stallMs;
  };
  for (const stream of [child.stdout, child.stderr]) {
    const decoder = new StringDecoder('utf8');
    let rest = '';
    stream.on('data', (bytes: Buffer) => {
      signOfLife();
      const text = decoder.write(bytes);
      output = (output + text).slice(-65_536);
      const lines = (rest + text).split(/[\r\n]+/);
      rest = lines.pop() ?? '';
      for (const line of lines) if (line) attempt.onLine?.(line);
    });
    stream.on('end', () => {
      if (rest) attempt.onLine?.(rest);
    });
  }

  let stopped: string | undefined;
  const stop = (reason: string): void => {
    stopped ??= reason;
    killGroup();
  };
  const onAbort = (): void => stop('was stopped');
  attempt.signal?.addEventListener('abort', onAbort);
  if (attempt.signal?.aborted) onAbort();
  // A CLI that ends in the middle of a download leaves none behind.
  process.once('exit', killGroup);

  let lastBytes = 0;
  const timer = setInterval(
    () => {
      if (attempt.watchFolder) {
        void folderBytes(attempt.watchFolder).then((bytes) => {
          if (bytes > lastBytes) signOfLife();
          lastBytes = bytes;
        });
      }
      if (Date.now() > deadline) {
        stop(
          signs === 0 ? `gave no sign of life for ${firstSignMs / 1000} s` : `stalled: nothing for ${stallMs / 1000} s`,
        );
      }
    },
    Math.min(WATCH_INTERVAL_MS, firstSignMs / 4, stallMs / 4),
  );

  try {
    const { code, signal } = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>(
      (resolve, reject) => {
        child.once('error', (error) => reject(new AttemptFailed(`could not be started (${error.message})`, '')));
        child.once('close', (code, signal) => resolve({ code, signal }));
      },
    );
    const tail = output.trim().split('\n').slice(-5).join('\n');
    if (stopped) throw new AttemptFailed(stopped, tail);
    if (code !== 0) throw new AttemptFailed(`ended with ${code === null ? `signal ${signal}` : `code ${code}`}`, tail);
    return output;
  } finally {
    clearInterval(timer);
    attempt.signal?.removeEventListener('abort', onAbort);
    process.removeListener('exit', killGroup);
  }
}

/** Bytes of all files below a folder; files that vanish meanwhile count 0. */
async function folderBytes(folder: string): Promise<number> {
  const entries: Dirent[] = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        stat(join(entry.parentPath, entry.name)).then(
          (found) => found.size,
          () => 0,
        ),
      ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
