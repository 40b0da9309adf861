import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { keepAlive } from '../../../infra/processes/keepAlive.ts';
import type { SupervisedChild } from '../../../infra/processes/supervisedChild.ts';
import { startChild } from '../../../infra/processes/supervisedChild.ts';
import { eventually } from '../../servers/temporalServer.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-keepAlive-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const start = (script: string) => (): Promise<SupervisedChild> =>
  startChild({ name: 'gpu worker 1', command: '/bin/sh', args: ['-c', script], logFile: join(folder, 'worker.log') });

it('starts a killed child again and stops for good when told to', async () => {
  const events: unknown[] = [];
  const kept = await keepAlive(start('exec sleep 600'), {
    initialDelayMs: 10,
    onRestart: ({ exit, restarts, delayMs }) => events.push([exit.signal, restarts, delayMs]),
  });
  const first = kept.child.pid;
  kept.child.kill('SIGKILL');
  await eventually('a second child', () => kept.child.pid !== first);
  kept.child.kill('SIGKILL');
  await eventually('a third child', () => kept.restarts === 2 && kept.child.running);
  expect(events).toEqual([
    ['SIGKILL', 1, 10],
    ['SIGKILL', 2, 20],
  ]);
  const third = kept.child;
  await kept.stop();
  await kept.ended;
  expect(third.running).toBe(false);
  expect(kept.restarts).toBe(2);
});

it('gives up after too many deaths, with the end of the log in the error', async () => {
  let starts = 0;
  const crash = start('echo "out of memory"; exit 3');
  const kept = await keepAlive(
    () => {
      starts++;
      return crash();
    },
    { initialDelayMs: 1, maxRestarts: 2 },
  );
  await expect(kept.ended).rejects.toThrow(/gpu worker 1 ended 3 times .* last with code 3[^]*out of memory/);
  expect(starts).toBe(3);
});
