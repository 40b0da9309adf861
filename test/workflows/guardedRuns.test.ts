/** The guard of a run: which steps it rejects, what it goes back to and changes, and where it gives up. Real server, stages without work. */
import { ApplicationFailure } from '@temporalio/activity';
import { beforeAll, expect, test } from 'vitest';
import { retryStageUpdate } from '../../workflows/messages.ts';
import { instantConfiguration, type InstantCluster } from './instantStages.ts';
import { progressOf, steeredRuns, waits } from './steeredRuns.ts';

const { linesOf, courseOf, steps, ...runs } = steeredRuns();
let cluster: InstantCluster;
beforeAll(() => {
  cluster = runs.cluster();
});

test('the guard rejects a step without a finite gradient: last good policy, lower rate, other samples', async () => {
  cluster.script.before = (stage, step) => {
    if (stage === 'computeGradients' && step?.iteration === 3 && step.learningRate > 3e-4)
      throw ApplicationFailure.nonRetryable('the gradient is not finite', 'Engine.notFinite');
  };
  const handle = await cluster.start('healed', instantConfiguration({ guard: { rateFactor: 0.5, maxRollBacks: 2 } }));
  await handle.result();
  expect(steps().map(({ epoch, iteration, learningRate }) => [epoch, iteration, learningRate])).toEqual([
    [0, 1, 1e-3],
    [0, 2, 1e-3],
    [2, 3, 2.5e-4],
  ]);
  expect((await courseOf('healed')).map(({ by, told }) => `${by}: ${told}`)).toEqual([
    'guard: iteration 3 rejected: the gradient is not finite; back to the policy of iteration 2; iteration.learningRate 0.001 -> 0.0005',
    'guard: iteration 3 rejected: the gradient is not finite; back to the policy of iteration 2; iteration.learningRate 0.0005 -> 0.00025',
  ]);
  expect(await cluster.record('healed')).toMatchObject({ state: 'done', iteration: 3, epoch: 2 });
});

test('KL above its limit tells against the step before; the guard gives up after so many roll-backs, and asks', async () => {
  cluster.script.figures = ({ iteration, learningRate }) => ({
    kl: iteration === 3 && learningRate > 2e-4 ? 0.9 : 0.01,
  });
  const guard = { maxKl: 0.5, rateFactor: 0.5, maxRollBacks: 2 };
  const handle = await cluster.start('far', instantConfiguration({ guard }));
  await waits(handle);
  expect((await progressOf(handle)).cause).toBe(
    'iteration 3: KL 0.9 is above iteration.guard.maxKl = 0.5; the guard has rolled back 2 times already',
  );
  expect(await handle.executeUpdate(retryStageUpdate)).toContain('again');
  await handle.result();
  expect(steps().map(({ epoch, iteration }) => `${epoch}-${iteration}`)).toEqual([
    '0-1',
    '0-2',
    '0-3',
    '1-2',
    '1-3',
    '2-2',
    '2-3',
    '3-2',
    '3-3',
  ]);
  expect((await linesOf('far')).map(({ epoch, iteration }) => `${epoch}-${iteration}`)).toEqual([
    '0-0',
    '0-1',
    '3-2',
    '3-3',
  ]);
  expect(await cluster.record('far')).toMatchObject({ state: 'done', iteration: 3, epoch: 3 });
});

test('a reward that has collapsed ends the run with the last good policy, where the guard is told so', async () => {
  cluster.script.figures = ({ iteration }) => ({ reward: iteration >= 3 ? 0.1 : 0.6 });
  const guard = { minReward: 0.3, patience: 2, action: 'stop' };
  const handle = await cluster.start('collapsed', instantConfiguration({ count: 6, guard }));
  await handle.result();
  const record = await cluster.record('collapsed');
  expect(record).toMatchObject({ state: 'stopped', iteration: 1, epoch: 1 });
  const line = await linesOf('collapsed');
  expect(line.map(({ iteration }) => iteration)).toEqual([0, 1]);
  expect(record.policy!.adapter!.sha256).toBe(line[1]!.policy.adapter!.sha256);
  expect(record.report).toBeDefined();
  expect((await courseOf('collapsed')).map(({ told }) => told)).toEqual([
    'iteration 4 rejected: mean reward 0.1, 0.1 of 2 iterations in a row is below iteration.guard.minReward = 0.3; back to the policy of iteration 1, and the run ends there',
  ]);
});
