/** The operator's hand on a run at work: every update, what it answers, refuses and leaves. Real server, stages without work. */
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/activity';
import { defineSearchAttributeKey } from '@temporalio/common';
import { beforeAll, expect, test } from 'vitest';
import { stateAttribute } from '../../activities/types.ts';
import { changeEnded, prepareFork } from '../../cli/operate/course.ts';
import { listIterations } from '../../infra/artifacts/runs.ts';
import {
  cancelRunUpdate,
  changeSettingsUpdate,
  extendUpdate,
  pauseUpdate,
  resumeUpdate,
  retryStageUpdate,
  rollBackUpdate,
  skipBackOffUpdate,
  stopAfterIterationUpdate,
} from '../../workflows/messages.ts';
import { eventually } from '../servers/temporalServer.ts';
import { instantConfiguration, type InstantCluster } from './instantStages.ts';
import { steeredRuns, waits } from './steeredRuns.ts';

const { linesOf, courseOf, steps, ...runs } = steeredRuns();
let cluster: InstantCluster;
beforeAll(() => {
  cluster = runs.cluster();
});

async function refusal(update: Promise<string>): Promise<string> {
  const error: unknown = await update.then(
    (answer) => `accepted: ${answer}`,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(WorkflowUpdateFailedError);
  let cause = (error as Error).cause as Error;
  while (cause.cause instanceof Error) cause = cause.cause;
  return cause.message;
}

/** Holds the run in the middle of an iteration until it is let go. */
function holdAt(iteration: number, stage = 'generateChains', epoch = 0): { reached: Promise<void>; letGo: () => void } {
  let letGo!: () => void;
  let reach!: () => void;
  const held = new Promise<void>((done) => (letGo = done));
  const reached = new Promise<void>((done) => (reach = done));
  cluster.script.before = async (at, step) => {
    if (at !== stage || step?.iteration !== iteration || step.epoch !== epoch) return;
    reach();
    await held;
  };
  return { reached, letGo };
}

test('settings change from the next iteration on; steps, lineage and record have them', async () => {
  const { reached, letGo } = holdAt(2);
  const handle = await cluster.start('settings', instantConfiguration());
  await reached;
  expect(await refusal(handle.executeUpdate(changeSettingsUpdate, { args: [{ 'lora.rank': 8 }] }))).toContain(
    "lora.rank can't be changed while a run is at work",
  );
  expect(
    await refusal(handle.executeUpdate(changeSettingsUpdate, { args: [{ 'iteration.learningRate': -1 }] })),
  ).toContain('iteration.learningRate must be a number, more than 0, not -1');
  // Each allowed by itself, but not by the whole configuration: that the schema knows.
  expect(
    await refusal(handle.executeUpdate(changeSettingsUpdate, { args: [{ 'iteration.ratioCap': 0.5 }] })),
  ).toContain('would act inside the clip');
  expect(await courseOf('settings')).toEqual([]);
  const changes = { 'iteration.learningRate': 5e-4, 'iteration.klWeight': 0 };
  expect(await handle.executeUpdate(changeSettingsUpdate, { args: [changes] })).toBe(
    'from the next iteration on (after iteration 1: iteration.learningRate 0.001 -> 0.0005, iteration.klWeight 0.04 -> 0)',
  );
  letGo();
  await handle.result();

  expect(steps().map(({ learningRate, klWeight }) => [learningRate, klWeight])).toEqual([
    [1e-3, 0.04],
    [1e-3, 0.04],
    [5e-4, 0],
  ]);
  const line = await linesOf('settings');
  const digests = line.map(({ configuration }) => configuration!.sha256);
  expect(digests[1]).toBe(digests[2]);
  expect(digests[3]).not.toBe(digests[2]);
  const record = await cluster.record('settings');
  expect(record.configuration.sha256).toBe(digests[3]);
  // A refused change has left no trace.
  expect(record.courseChanges).toBe(1);
  expect(await courseOf('settings')).toMatchObject([
    {
      kind: 'settings',
      by: 'operator',
      iteration: 1,
      settings: { 'iteration.learningRate': { from: 1e-3, to: 5e-4 }, 'iteration.klWeight': { from: 0.04, to: 0 } },
      configuration: { sha256: digests[3] },
    },
  ]);
});

test('roll-back gives up the iteration at work, and goes on from an earlier policy in a new epoch', async () => {
  const { reached, letGo } = holdAt(3);
  const handle = await cluster.start('back', instantConfiguration());
  await reached;
  expect(await refusal(handle.executeUpdate(rollBackUpdate, { args: [3] }))).toContain(
    'there is no finished iteration 3 to go back to: write 0 to 2',
  );
  expect(await handle.executeUpdate(rollBackUpdate, { args: [1] })).toBe(
    'gives up "iteration 3" and goes back to the policy of iteration 1; next is iteration 2, with other samples',
  );
  letGo();
  await handle.result();
  expect(await cluster.record('back')).toMatchObject({ state: 'done', iteration: 3, epoch: 1, courseChanges: 1 });
  const line = await linesOf('back');
  expect(line.map(({ epoch, iteration }) => `${epoch}-${iteration}`)).toEqual(['0-0', '0-1', '1-2', '1-3']);
  for (const [index, { parent }] of line.slice(1).entries()) expect(parent).toBe(line[index]!.policy.adapter!.sha256);
  const all = await listIterations(cluster.store, 'back');
  expect(all.map(({ epoch, n }) => `${epoch}-${n}`)).toEqual(['0-0', '0-1', '0-2', '1-2', '1-3']);

  // Over once more: of two iterations 2 the newer one counts.
  await changeEnded({ runId: 'back', storeUri: cluster.store.uri }, { kind: 'rollBack', rollBackTo: 2 });
  await (await cluster.start('back', instantConfiguration())).result();
  expect((await linesOf('back')).map(({ epoch, iteration }) => `${epoch}-${iteration}`)).toEqual([
    '0-0',
    '0-1',
    '1-2',
    '2-3',
  ]);
});

test('a failed stage waits for its operator: status, card, memo and search attribute say so; settings and roll-back mend it', async () => {
  cluster.script.before = (stage, step) => {
    if (stage === 'computeGradients' && step?.iteration === 2 && step.learningRate > 5e-4)
      throw ApplicationFailure.nonRetryable('the gradient is not finite', 'Engine.notFinite');
  };
  const handle = await cluster.start('mended', instantConfiguration());
  await waits(handle);
  expect((await handle.describe()).memo).toMatchObject({ state: 'waiting', stage: 'iteration 2' });
  await eventually('it is found by its state', async () => {
    for await (const { workflowId } of cluster.client.workflow.list({ query: "CadaState = 'waiting'" })) {
      if (workflowId === 'mended') return true;
    }
    return false;
  });
  const card = await cluster.client.workflowService.queryWorkflow({
    namespace: 'default',
    execution: { workflowId: 'mended' },
    query: { queryType: '__temporal_workflow_metadata' },
  });
  const text = Buffer.from(card.queryResult!.payloads![0]!.data!).toString();
  expect(text).toContain('iteration 2: the gradient is not finite');
  expect(text).toContain('cada retry');
  await eventually(
    'the record says so too',
    async () => (await cluster.record('mended')).cause === 'iteration 2: the gradient is not finite',
  );

  expect(await handle.executeUpdate(retryStageUpdate)).toBe('runs "iteration 2" again');
  await eventually(
    'it has failed again',
    () => cluster.calls.filter(({ stage }) => stage === 'computeGradients').length >= 4,
  );
  await waits(handle);
  expect(await handle.executeUpdate(changeSettingsUpdate, { args: [{ 'iteration.learningRate': 4e-4 }] })).toMatch(
    /^from the next attempt on/,
  );
  expect(await handle.executeUpdate(rollBackUpdate, { args: [1] })).toContain('back to the policy of iteration 1');
  await handle.result();
  expect(steps().map(({ epoch, iteration, learningRate }) => [epoch, iteration, learningRate])).toEqual([
    [0, 1, 1e-3],
    [1, 2, 4e-4],
    [1, 3, 4e-4],
  ]);
  expect((await cluster.record('mended')).cause).toBeUndefined();
  const { typedSearchAttributes } = await handle.describe();
  expect(typedSearchAttributes.get(defineSearchAttributeKey(stateAttribute, 'KEYWORD'))).toBe('done');
});

test('cancel gives up what is at work and says so; the same run goes on from its record without redoing anything', async () => {
  const { reached, letGo } = holdAt(3);
  const handle = await cluster.start('cancelled', instantConfiguration());
  await reached;
  expect(await handle.executeUpdate(cancelRunUpdate)).toContain('gives up "iteration 3" and ends');
  letGo();
  await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  expect((await handle.describe()).status.name).toBe('CANCELLED');
  expect(await cluster.record('cancelled')).toMatchObject({ state: 'cancelled', iteration: 2 });
  const before = await linesOf('cancelled');

  cluster.calls.length = 0;
  cluster.script.before = () => undefined;
  await (await cluster.start('cancelled', instantConfiguration())).result();
  expect(steps().map(({ iteration }) => iteration)).toEqual([3]);
  expect(cluster.calls.map(({ stage }) => stage)).not.toContain('prepareModel');
  const after = await linesOf('cancelled');
  expect(after.slice(0, 3)).toEqual(before);
  expect(after).toHaveLength(4);
  expect(after[3]!.parent).toBe(before[2]!.policy.adapter!.sha256);
});

test('a run is extended while it is at work, after a stop, and after its end', async () => {
  const { reached, letGo } = holdAt(2);
  const handle = await cluster.start('longer', instantConfiguration({ count: 2 }));
  await reached;
  expect(await refusal(handle.executeUpdate(extendUpdate, { args: [0] }))).toContain(
    '0 is no number of iterations to add',
  );
  expect(await handle.executeUpdate(stopAfterIterationUpdate)).toContain('stops after iteration 2');
  expect(await handle.executeUpdate(extendUpdate, { args: [1] })).toBe('goes on to iteration 3');
  letGo();
  await handle.result();
  expect(await cluster.record('longer')).toMatchObject({ state: 'done', iteration: 3, iterations: 3 });

  const told = await changeEnded({ runId: 'longer', storeUri: cluster.store.uri }, { kind: 'extend', more: 2 });
  expect(told).toBe('2 more iterations, 5 in all');
  cluster.calls.length = 0;
  await (await cluster.start('longer', instantConfiguration({ count: 2 }))).result();
  expect(steps().map(({ iteration }) => iteration)).toEqual([4, 5]);
  const record = await cluster.record('longer');
  expect(record).toMatchObject({ state: 'done', iteration: 5, iterations: 5, courseChanges: 2 });
  const line = await linesOf('longer');
  expect(line.map(({ iteration }) => iteration)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(record.policy!.adapter!.sha256).toBe(line[5]!.policy.adapter!.sha256);
  // As if it had been that long from the beginning.
  await (await cluster.start('as-long', instantConfiguration({ count: 5 }))).result();
  expect((await cluster.record('as-long')).policy!.adapter!.sha256).toBe(record.policy!.adapter!.sha256);
});

test('a fork shares what comes before it, and does the rest by its own configuration', async () => {
  await (await cluster.start('trunk', instantConfiguration())).result();
  const trunk = await linesOf('trunk');
  const configuration = instantConfiguration({ learningRate: 2e-3, count: 4 }, 'branch');
  const request = { runId: 'trunk', storeUri: cluster.store.uri, from: 2, configuration };
  const branch = await prepareFork(request);
  expect(branch).toMatch(/^branch-[0-9a-f]{8}$/);
  expect(await prepareFork(request)).toBe(branch);
  expect(await prepareFork({ ...request, from: 1 })).not.toBe(branch);
  const other = { ...configuration, lora: { ...configuration.lora, rank: 8 } };
  await expect(prepareFork({ ...request, configuration: other })).rejects.toThrow('another `lora`');
  await expect(prepareFork({ ...request, from: 4 })).rejects.toThrow('nothing is left to do');

  cluster.calls.length = 0;
  await (await cluster.start(branch, configuration)).result();
  expect(steps().map(({ iteration, learningRate }) => [iteration, learningRate])).toEqual([
    [3, 2e-3],
    [4, 2e-3],
  ]);
  const line = await linesOf(branch);
  expect(line.map(({ policy }) => policy.adapter!.sha256).slice(0, 3)).toEqual(
    trunk.map(({ policy }) => policy.adapter!.sha256).slice(0, 3),
  );
  expect(line[3]!.parent).toBe(trunk[2]!.policy.adapter!.sha256);
  expect(line[3]!.policy.adapter!.sha256).not.toBe(trunk[3]!.policy.adapter!.sha256);
  const record = await cluster.record(branch);
  expect(record).toMatchObject({ state: 'done', forkedFrom: { runId: 'trunk', epoch: 0, iteration: 2 } });
  // Its own configuration's evaluations; where they are the other's, their steps are found.
  expect(Object.keys(record.evaluations).sort()).toEqual(['after', 'before']);
  expect((await courseOf(branch)).map(({ told }) => told)).toEqual(['forked from run trunk after iteration 2']);
});

test('skip back-off: what waits for its next attempt has it now', async () => {
  let failures = 0;
  cluster.script.before = (stage, step) => {
    if (stage === 'generateChains' && step?.iteration === 1 && failures < 4) {
      failures += 1;
      throw new Error('the store does not answer');
    }
  };
  const handle = await cluster.start('hurried', instantConfiguration({ count: 1 }));
  await eventually('three attempts have failed', () => failures === 3);
  // The fourth would come four seconds after the third, the fifth eight later.
  const answers = new Set<string>();
  await eventually('nothing waits any more', async () => {
    const answer = await handle.executeUpdate(skipBackOffUpdate);
    answers.add(answer);
    return failures === 4 && answer === 'nothing waits for another try';
  });
  expect([...answers].join('\n')).toMatch(
    /tries again now: generateChains after \d failed attempts \(the store does not answer\)/,
  );
  await handle.result();
});

test('pause holds, resume lets go, and a paused run may be rolled back', async () => {
  const { reached, letGo } = holdAt(2);
  const handle = await cluster.start('held', instantConfiguration());
  await reached;
  expect(await handle.executeUpdate(pauseUpdate)).toBe('pauses when "iteration 2" has ended');
  letGo();
  await eventually('the run holds', async () => (await cluster.record('held')).state === 'paused');
  expect(await refusal(handle.executeUpdate(retryStageUpdate))).toContain('the run is paused, not waiting');
  expect(await handle.executeUpdate(rollBackUpdate, { args: [0] })).toContain('back to the start of the iterations');
  await eventually('it is back', async () => (await cluster.record('held')).epoch === 1);
  expect(await cluster.record('held')).toMatchObject({ state: 'paused', iteration: 0 });
  expect(await handle.executeUpdate(resumeUpdate)).toBe('goes on');
  await handle.result();
  expect((await linesOf('held')).map(({ epoch, iteration }) => `${epoch}-${iteration}`)).toEqual([
    '0-0',
    '1-1',
    '1-2',
    '1-3',
  ]);
});
