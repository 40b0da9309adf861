/** The commands that steer a run, as processes: `set`, `rollback`, `extend`, `fork`, `retry`, `cancel`, and what `status` says of it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { listRuns } from '../../infra/artifacts/runs.ts';
import { cada as run } from '../cli/runCommand.ts';
import { eventually } from '../servers/temporalServer.ts';
import { instantConfiguration, type InstantCluster } from './instantStages.ts';
import { steeredRuns } from './steeredRuns.ts';

const { linesOf, ...runs } = steeredRuns();
let cluster: InstantCluster;
beforeAll(() => {
  cluster = runs.cluster();
});

const cada = (...args: string[]) =>
  run(args, { env: { TEMPORAL_ADDRESS: cluster.server.address, CADA_STORE: cluster.store.uri } });

test('a run at work is told: set, rollback, extend, retry; what can not be done is refused in words', async () => {
  let letGo!: () => void;
  const held = new Promise<void>((done) => (letGo = done));
  let reached = false;
  cluster.script.before = async (stage, step) => {
    if (stage !== 'generateChains' || step?.iteration !== 2 || step.epoch > 0) return;
    reached = true;
    await held;
  };
  const handle = await cluster.start('steered', instantConfiguration());
  await eventually('its second iteration', () => reached, 60_000);

  expect(await cada('set', 'steered', 'iteration.learningRate=fast')).toMatchObject({ code: 2, stdout: '' });
  const refused = await cada('set', 'steered', 'lora.rank=8');
  expect(refused.stderr).toContain("lora.rank can't be changed while a run is at work");
  expect(refused.code).toBe(2);
  const far = await cada('rollback', 'steered', '--to', '2');
  expect(far.stderr).toContain('there is no finished iteration 2 to go back to: write 0 to 1');
  expect(far.code).toBe(2);

  const set = await cada('set', 'steered', 'iteration.learningRate=5e-4', 'iteration.clipHigh=0.28');
  expect(set).toMatchObject({ code: 0, stderr: '' });
  expect(set.stdout).toBe(
    'from the next iteration on (after iteration 1: iteration.learningRate 0.001 -> 0.0005, iteration.clipHigh 0.2 -> 0.28)\n',
  );
  expect((await cada('retry', 'steered')).stdout).toBe('nothing waits for another try\n');
  expect((await cada('extend', 'steered', '--iterations', '1')).stdout).toBe('goes on to iteration 4\n');
  const back = await cada('rollback', 'steered', '--to', '0');
  expect(back.stdout).toContain('gives up "iteration 2" and goes back to the start of the iterations');
  letGo();
  await handle.result();
  const line = await linesOf('steered');
  expect(line.map(({ epoch, iteration }) => `${epoch}-${iteration}`)).toEqual(['0-0', '1-1', '1-2', '1-3', '1-4']);
  const { stdout } = await cada('status', 'steered');
  expect(stdout).toContain('operator: after iteration 1: iteration.learningRate 0.001 -> 0.0005');
  expect(stdout).toContain('operator: 1 more iterations, 4 in all');
  expect(stdout).toContain('operator: from iteration 1 back to the start of the iterations');
}, 120_000);

test('a run that has ended is extended and goes on; another branches off it; a third is cancelled', async () => {
  await (await cluster.start('ended', instantConfiguration({ count: 1 }))).result();
  const extended = await cada('extend', 'ended', '--iterations', '1', '--detach');
  expect(extended.stderr).toBe('');
  expect(extended.stdout).toContain('1 more iterations, 2 in all');
  await eventually('it is done', async () => (await cluster.record('ended')).iteration === 2, 60_000);
  await cluster.client.workflow.getHandle('ended').result();

  const file = join(cluster.home, 'branch.yaml');
  const { trained: _trained, ...configuration } = instantConfiguration({ count: 2, learningRate: 2e-3 }, 'branch');
  await writeFile(file, JSON.stringify(configuration));
  const forked = await cada('fork', 'ended', '--from', '1', file, '--detach');
  expect(forked.stdout).toMatch(/^run branch-[0-9a-f]{8}: from run ended, iteration 1\n/);
  const forkId = (await listRuns(cluster.store)).find((id) => id.startsWith('branch-'))!;
  await cluster.client.workflow.getHandle(forkId).result();
  const [trunk, branch] = await Promise.all(['ended', forkId].map(linesOf));
  const adapters = (line: typeof trunk) => line!.map(({ policy }) => policy.adapter!.sha256);
  expect(adapters(branch).slice(0, 2)).toEqual(adapters(trunk).slice(0, 2));
  expect(adapters(branch)[2]).not.toBe(adapters(trunk)[2]);

  let letGo!: () => void;
  const held = new Promise<void>((done) => (letGo = done));
  cluster.script.before = (stage, step) => (stage === 'computeGradients' && step ? held : undefined);
  const handle = await cluster.start('unwanted', instantConfiguration());
  await eventually(
    'its first iteration',
    async () => (await cluster.record('unwanted')).stage === 'iteration 1',
    60_000,
  );
  expect((await cada('cancel', 'unwanted')).stdout).toContain('what is finished stays in the store');
  await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  letGo();
  expect((await cada('status', 'unwanted')).stdout).toContain('cancelled');
  expect(await cada('pause', 'unwanted')).toMatchObject({ code: 2 });
}, 180_000);
