/** What every malformed input must meet: an error of ours that says what is wrong, in time, in bounded memory, and nothing written. */
import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { startWatchdog } from './watchdog.ts';

export interface BadInput {
  name: string;
  /** Writes the input into a folder of its own; answers what reads it. */
  input: (folder: string) => Reader | Promise<Reader>;
  /** Words of the error: what is wrong, where, and what to do about it. */
  says: (string | RegExp)[];
}

type Reader = () => unknown;

/** Errors of the language, thrown where something was taken for granted: never what a reader should see. */
const unexplained = ['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'ZodError', 'AssertionError'];

/** Of a loaded machine; an endless pattern is given a second of the processor. */
const deadlineMs = 180_000;
const mostBytes = 256 * 2 ** 20;

/** One test an input. */
export function refuses(subject: string, inputs: readonly BadInput[]): void {
  describe(subject, () => {
    const watchdog = startWatchdog(2 * deadlineMs);
    afterAll(() => watchdog.stop());
    test.each(inputs)('$name', { timeout: deadlineMs }, async ({ name, input, says }) => {
      const folder = await mkdtemp(join(tmpdir(), 'cada-bad-'));
      try {
        const read = await input(folder);
        const before = await listed(folder);
        const memoryBefore = process.resourceUsage().maxRSS * 1024;
        watchdog.expectWithin(`${subject}: ${name}`);
        const error = await thrownBy(read);
        watchdog.done();
        expect(error, 'it was taken').toBeInstanceOf(Error);
        const { name: kind, message, stack } = error as Error;
        expect(unexplained, stack).not.toContain(kind);
        for (const words of says) expect(message).toMatch(words);
        expect(await listed(folder)).toEqual(before);
        // The largest resident memory so far: it only grows where this input took more than all before it.
        expect(process.resourceUsage().maxRSS * 1024 - memoryBefore).toBeLessThan(mostBytes);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  });
}

async function thrownBy(read: Reader): Promise<unknown> {
  try {
    await read();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Files below a folder with their sizes and times of change. */
async function listed(folder: string): Promise<string[]> {
  const names = (await readdir(folder, { recursive: true })).sort();
  return Promise.all(
    names.map(async (name) => {
      const found = await lstat(join(folder, name));
      return found.isDirectory() ? `${name}/` : `${name} ${found.size} ${found.mtimeMs}`;
    }),
  );
}
