import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { newFolder, scripted } from './runCommand.ts';

function folderWithRun(): string {
  const cwd = newFolder();
  writeFileSync(join(cwd, 'run.yaml'), 'name: scripted\n');
  return cwd;
}

test('in a pipe: plain lines, only on change, and exit code 4 with what to do when the run waits', async () => {
  const { code, stdout } = await scripted('waiting', ['train', 'run.yaml'], { cwd: folderWithRun() });
  expect(code).toBe(4);
  expect(stdout.split('\n')).toEqual([
    expect.stringMatching(/^run scripted-[0-9a-f]{8}$/),
    'Temporal UI: http://127.0.0.1:8233',
    expect.stringMatching(/^prepare {2}about \d+m/),
    'done: prepare  3s',
    expect.stringMatching(/^warm start {2}shards 0\/300 {2}261 tok\/s {2}about \d+m/),
    'run scripted-00000000: waits for its operator: the \\x1b[31mjudge\\x1b[0m is down',
    'The run waits for its operator: the judge is down',
    'Mend the cause, then go on with: cada train run.yaml',
    'To stay while it waits, add --wait: then `cada retry` or `cada stop` from another terminal.',
    '',
  ]);
});

test('a failed run: exit code 1, the cause on standard error', async () => {
  const { code, stderr } = await scripted('failed', ['train', 'run.yaml'], { cwd: folderWithRun() });
  expect(code).toBe(1);
  expect(stderr).toContain('The run failed: the gradient is not a number');
});

test('Ctrl-C: exit code 130 and the command that goes on', async () => {
  const { code, stdout } = await scripted('interrupted', ['train', 'run.yaml'], {
    cwd: folderWithRun(),
    onOutput: (text, kill) => {
      if (text.endsWith('at work\n')) kill('SIGINT');
    },
  });
  expect(code).toBe(130);
  expect(stdout).toContain('Stopped. To go on: cada train run.yaml');
});

test('a full disk: exit code 3 with the remedy, no stack', async () => {
  const { code, stderr } = await scripted('noSpace', ['train', 'run.yaml'], { cwd: folderWithRun() });
  expect(code).toBe(3);
  expect(stderr).toContain('no space is left on the disk');
  expect(stderr).toContain('CADA_HOME');
  expect(stderr).not.toContain('    at ');
});

test('the stack only with --verbose', async () => {
  const quiet = await scripted('bug', ['train', 'run.yaml'], { cwd: folderWithRun() });
  expect(quiet).toMatchObject({ code: 1, stderr: 'x is not a function\n' });
  const verbose = await scripted('bug', ['--verbose', 'train', 'run.yaml'], { cwd: folderWithRun() });
  expect(verbose.stderr).toContain('    at ');
});
