/** The operator's side of a run: pause, resume, stop, a stage that fails for good; and a run that continues as new. External server, `cada worker` processes. */
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection, WorkflowUpdateFailedError, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listHistories, listIterations, loadHistory } from '../../infra/artifacts/runs.ts';
import {
  pauseUpdate,
  progressQuery,
  resumeUpdate,
  retryStageUpdate,
  stopAfterIterationUpdate,
  stopRunUpdate,
} from '../../workflows/messages.ts';
import type { IterationRecord, RunProgress } from '../../activities/types.ts';
import { eventually, startTestServer, type TestServer } from '../servers/temporalServer.ts';
import { createInstallation, type TestInstallation } from './cluster.ts';
import { startWorkers, type RunningCommand } from './commands.ts';
import { readEvents } from './historyEvents.ts';

let server: TestServer;
let connection: Connection;
let client: Client;
let installation: TestInstallation;
let workers: RunningCommand[] = [];

beforeAll(async () => {
  server = await startTestServer({ dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 15 } });
  process.env['TEMPORAL_ADDRESS'] = server.address;
  connection = await Connection.connect({ address: server.address });
  client = new Client({ connection });
  installation = await createInstallation({
    warmStart: { enabled: false },
    iteration: {
      count: 5,
      requests: { harmful: 2, plain: 1, lookAlike: 1 },
      samplesPerRequest: 4,
      klReference: 'base',
      learningRate: 3e-4,
    },
    evaluation: {
      requests: { harmful: 2, plain: 2, lookAlike: 0 },
      probe: { harmful: 1, plain: 0, lookAlike: 0 },
      bootstrapSamples: 100,
    },
  });
}, 120_000);

afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await connection?.close();
  await server?.stop();
  await installation?.remove();
});

const progressOf = (handle: WorkflowHandle): Promise<RunProgress> => handle.query(progressQuery);
/** The sentence that refuses an update. */
async function refusal(update: Promise<string>): Promise<string> {
  const error: unknown = await update.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(WorkflowUpdateFailedError);
  return ((error as Error).cause as Error).message;
}

test('a stage that fails for good makes the run wait; the same command goes on after the cause is mended', async () => {
  const runId = 'waits';
  const weights = join(installation.configuration.model.source, 'model.safetensors');
  const whole = await readFile(weights);
  // It breaks between the check of the command and the work of the worker.
  await installation.train(runId, { detach: true });
  await truncate(weights, 300_000);
  workers = await startWorkers(
    ['control', 'gpu', 'judge'],
    { TEMPORAL_ADDRESS: server.address, CADA_STORE: installation.store.uri, CADA_HOME: installation.home },
    installation.logs(runId),
  );
  await eventually('the run waits', async () => (await installation.record(runId))?.state === 'waiting', 30_000);
  const handle = client.workflow.getHandle(runId);
  expect(await progressOf(handle)).toMatchObject({ state: 'waiting', stage: 'prepare' });
  expect((await installation.record(runId)).cause).toMatch(/^prepare: .*model\.safetensors/);
  expect((await handle.describe()).memo).toMatchObject({ state: 'waiting', stage: 'prepare' });

  expect(await refusal(handle.executeUpdate(pauseUpdate))).toContain('the run is waiting, not running');
  expect(await refusal(handle.executeUpdate(resumeUpdate))).toContain('the run is waiting, not paused');
  expect(await refusal(handle.executeUpdate(stopAfterIterationUpdate))).toContain('the run is waiting');

  // Not mended: the operator's retry fails again, and the command says so before it asks for one.
  expect(await handle.executeUpdate(retryStageUpdate)).toContain('prepare');
  await eventually('it waits again', async () => (await progressOf(handle)).state === 'waiting');
  await expect(installation.train(runId)).rejects.toThrow(/model\.safetensors/);
  expect((await progressOf(handle)).state).toBe('waiting');

  await writeFile(weights, whole);
  const { outcome, record, lines } = await installation.train(runId);
  expect(lines.join('\n')).toContain('The run was waiting: runs "prepare" again');
  expect(outcome).toEqual({ state: 'done' });
  expect(record).toMatchObject({ state: 'done', iteration: 5 });
  expect(record.cause).toBeUndefined();
}, 180_000);

test('a run continues as new between iterations, and goes on from what it has', async () => {
  const names = await listHistories(installation.store, 'waits');
  const executions = names.filter((name) => name.startsWith('run.'));
  expect(executions.length).toBeGreaterThanOrEqual(3);
  let continued = 0;
  for (const name of names) {
    const history = await loadHistory<{ events: Record<string, unknown>[] }>(installation.store, 'waits', name);
    const { largest } = readEvents(history);
    expect(largest.bytes, `${name}, ${largest.of}`).toBeLessThanOrEqual(4096);
    if (history!.events.at(-1)!['workflowExecutionContinuedAsNewEventAttributes']) continued += 1;
  }
  expect(continued).toBe(executions.length - 1);
  const records = (await listIterations<IterationRecord>(installation.store, 'waits')).map(({ value }) => value);
  expect(records.map(({ iteration }) => iteration)).toEqual([1, 2, 3, 4, 5]);
  for (const [index, { parent }] of records.slice(1).entries()) {
    expect(parent).toBe(records[index]!.policy.adapter!.sha256);
  }
});

test('pause holds the run after its stage, resume lets it go on, stopAfterIteration ends it early; the same command does the rest', async () => {
  const runId = 'steered';
  const configuration = { ...installation.configuration, seed: 77 };
  await installation.train(runId, { configuration, detach: true });
  const handle = client.workflow.getHandle(runId);
  await eventually('the first iteration', async () => (await progressOf(handle)).iteration === 1);

  expect(await handle.executeUpdate(pauseUpdate)).toBe('pauses when "iteration 1" has ended');
  expect(await refusal(handle.executeUpdate(pauseUpdate))).toContain('the run is paused, not running');
  expect(await refusal(handle.executeUpdate(retryStageUpdate))).toContain('not waiting');
  expect(await refusal(handle.executeUpdate(stopRunUpdate))).toContain('not waiting');
  await eventually('the run holds', async () => (await installation.record(runId)).state === 'paused');
  const held = (await listIterations(installation.store, runId)).length;
  expect(held).toBe(1);

  expect(await handle.executeUpdate(resumeUpdate)).toBe('goes on');
  expect(await refusal(handle.executeUpdate(resumeUpdate))).toContain('not paused');
  await eventually('the second iteration', async () => (await progressOf(handle)).iteration >= 2);
  expect(await handle.executeUpdate(stopAfterIterationUpdate)).toMatch(/stops after iteration \d/);
  await handle.result();
  const stopped = await installation.record(runId);
  expect(stopped.state).toBe('stopped');
  expect(stopped.iteration).toBeGreaterThanOrEqual(2);
  expect(stopped.iteration).toBeLessThan(5);
  expect(stopped.report).toBeDefined();
  expect(stopped.evaluations['after']).toBeDefined();

  const { outcome, record } = await installation.train(runId, { configuration });
  expect(outcome.state).toBe('done');
  expect(record.iteration).toBe(5);
  expect(record.policy!.adapter!.sha256).not.toBe(stopped.policy!.adapter!.sha256);
}, 120_000);

test('stopRun ends a waiting run as failed; its artifacts stay', async () => {
  const runId = 'given-up';
  const weights = join(installation.configuration.model.source, 'model.safetensors');
  const configuration = { ...installation.configuration, seed: 78 };
  await Promise.all(workers.map((worker) => worker.stop()));
  await installation.train(runId, { configuration, detach: true });
  await truncate(weights, 300_000);
  workers = await startWorkers(
    ['control'],
    { TEMPORAL_ADDRESS: server.address, CADA_STORE: installation.store.uri, CADA_HOME: installation.home },
    installation.logs(runId),
  );
  const handle = client.workflow.getHandle(runId);
  await eventually('the run waits', async () => (await installation.record(runId))?.state === 'waiting');
  expect(await handle.executeUpdate(stopRunUpdate)).toContain('its artifacts stay');
  await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'StoppedByOperator' } });
  const record = await installation.record(runId);
  expect(record.state).toBe('failed');
  expect(record.cause).toMatch(/model\.safetensors/);
  expect(await installation.store.has(record.configuration)).toBe(true);
}, 120_000);
