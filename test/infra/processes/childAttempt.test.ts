import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { AttemptFailed, runChildAttempt } from '../../../infra/processes/childAttempt.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-attempt-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const shell = (script: string): { command: string; args: string[] } => ({ command: '/bin/sh', args: ['-c', script] });

it('returns the output and hands over each line', async () => {
  const lines: string[] = [];
  expect(
    await runChildAttempt({ ...shell('echo one; printf "two\\rthree"'), onLine: (line) => lines.push(line) }),
  ).toBe('one\ntwo\rthree');
  expect(lines).toEqual(['one', 'two', 'three']);
});

it('kills a program that never gives a sign of life', async () => {
  await expect(runChildAttempt({ ...shell('sleep 600'), firstSignMs: 200 })).rejects.toMatchObject({
    reason: 'gave no sign of life for 0.2 s',
  });
});

it('kills a program that goes silent, with its last output', async () => {
  const failure = await runChildAttempt({ ...shell('echo connecting; sleep 600'), stallMs: 200 }).catch(
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(AttemptFailed);
  expect(failure).toMatchObject({ reason: 'stalled: nothing for 0.2 s', outputTail: 'connecting' });
});

it('takes growth of the watched folder as a sign of life', async () => {
  const file = join(folder, 'part');
  const writer = setInterval(() => appendFileSync(file, 'x'.repeat(1000)), 50);
  try {
    await runChildAttempt({ ...shell('sleep 2'), firstSignMs: 1000, stallMs: 1000, watchFolder: folder });
  } finally {
    clearInterval(writer);
  }
});

it('tells exit code and output of a program that fails, and the name of one that is missing', async () => {
  await expect(runChildAttempt(shell('echo "no such host" >&2; exit 4'))).rejects.toThrow(
    'ended with code 4: no such host',
  );
  await expect(runChildAttempt({ command: '/nowhere/pip', args: [] })).rejects.toThrow(
    /could not be started .*\/nowhere\/pip/,
  );
});

it('stops at once when aborted', async () => {
  const controller = new AbortController();
  const attempt = runChildAttempt({ ...shell('sleep 600'), signal: controller.signal });
  controller.abort();
  await expect(attempt).rejects.toMatchObject({ reason: 'was stopped' });
});
