import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

/** An older Node of the machine's own, if it has one. */
const candidates = ['/usr/bin/node', '/usr/local/bin/node', '/opt/homebrew/bin/node'].filter((path) =>
  existsSync(path),
);
const older = candidates.find((path) => {
  const [major = 0] = spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout.slice(1).split('.').map(Number);
  return major >= 18 && major < 22;
});
if (!older) console.warn('skipped: no Node 18 to 21 on this machine to start the command with');

test.skipIf(!older)('an older Node hands over to the one of the project; output and exit code pass through', () => {
  const run = (args: string[]) =>
    spawnSync(older ?? '', [resolve('cli/cada.js'), ...args], {
      encoding: 'utf8',
      env: { ...process.env, PATH: '/usr/bin:/bin' },
    });
  expect(run(['--version'])).toMatchObject({ status: 0, stderr: '' });
  expect(run(['trian'])).toMatchObject({ status: 2 });
});

test.skipIf(!older)('where there is none, an older Node says what is needed', () => {
  const result = spawnSync(older ?? '', [resolve('cli/cada.js'), '--version'], {
    encoding: 'utf8',
    env: { ...process.env, CADA_NODE_CHOSEN: '1' },
  });
  expect(result.status).toBe(3);
  expect(result.stderr).toContain('CADA needs Node 22.18 or newer; this is ');
});
