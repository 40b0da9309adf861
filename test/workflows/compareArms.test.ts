/** The workflow of a study, with activities that do nothing: which units it takes up, what it records, what a failure comes to. */
import { resolve } from 'node:path';
import { ApplicationFailure, Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AnsweredUnit, FailedUnit, OpenedUnit, StudyInput } from '../../activities/studyPlans.ts';
import { taskQueues, type ArtifactRef, type RunContext } from '../../activities/types.ts';
import { progressQuery } from '../../workflows/messages.ts';
import { startTestServer, type TestServer } from '../servers/temporalServer.ts';

const ref = (name: string): ArtifactRef => ({ uri: `file:///${name}`, sha256: name, bytes: 1, kind: 'test' });
const context = (name: string): RunContext => ({ runId: 'study', configuration: ref(name), library: ref('library') });

const units: OpenedUnit[] = ['found', 'asked', 'failing', 'guided'].map((id) => ({
  ...{ id, done: id === 'found', questions: ref('questions'), evaluation: context(id) },
  ...(id === 'guided' ? { inference: { codes: 'simple', cases: 2, sampling: 'random', layout: 'turns' } } : {}),
}));

let server: TestServer;
let connection: Connection;
let client: Client;
let workers: Worker[];
let running: Promise<void>[];
const seen = {
  planned: [] as unknown[],
  recorded: [] as AnsweredUnit[],
  summarised: [] as FailedUnit[][],
  atWork: 0,
  most: 0,
};

const activities = {
  openStudyUnit: (_study: StudyInput, index: number) => Promise.resolve(units[index]!),
  recordStudyUnit: (_study: StudyInput, answered: AnsweredUnit) => Promise.resolve(void seen.recorded.push(answered)),
  summariseStudy: (_study: StudyInput, failed: FailedUnit[]) => Promise.resolve(void seen.summarised.push(failed)),
  prepareModel: () => Promise.resolve({ model: ref('model') }),
  planSuites: (run: RunContext, suite: object) => {
    seen.planned.push({ of: run.configuration.sha256, ...suite });
    return Promise.resolve({ plan: ref(`plan of ${run.configuration.sha256}`), shards: 1, items: 1 });
  },
  generateChains: async () => {
    seen.most = Math.max(seen.most, ++seen.atWork);
    await new Promise((done) => setTimeout(done, 200));
    seen.atWork -= 1;
    return { cached: false, tokens: 1, seconds: 1 };
  },
  collectChains: () => Promise.resolve({ artifact: ref('chains'), scoringShards: 1, figures: {} }),
  judgeAnswers: (run: RunContext) =>
    run.configuration.sha256 === 'failing'
      ? Promise.reject(ApplicationFailure.nonRetryable('the judge is gone', 'Judge'))
      : Promise.resolve({ cached: false, tokens: 0, seconds: 1 }),
  summariseSuites: (run: RunContext) => Promise.resolve({ result: ref(`result of ${run.configuration.sha256}`) }),
};

beforeAll(async () => {
  server = await startTestServer();
  connection = await Connection.connect({ address: server.address });
  client = new Client({ connection });
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: resolve('workflows/index.ts'),
    logger: new DefaultLogger('ERROR'),
  });
  const native = await NativeConnection.connect({ address: server.address });
  workers = await Promise.all(
    Object.values(taskQueues).map((taskQueue) =>
      Worker.create({ connection: native, taskQueue, activities, workflowBundle, shutdownForceTime: '2s' }),
    ),
  );
  running = workers.map((worker) => worker.run());
}, 120_000);

afterAll(async () => {
  for (const worker of workers ?? []) worker.shutdown();
  await Promise.all(running ?? []);
  await connection?.close();
  await server?.stop();
});

beforeEach(() => Object.assign(seen, { planned: [], recorded: [], summarised: [], atWork: 0, most: 0 }));

const compare = (studyId: string, parallel: number): Promise<FailedUnit[]> =>
  client.workflow.execute<(study: StudyInput, traits: object) => Promise<FailedUnit[]>>('compareArms', {
    workflowId: studyId,
    taskQueue: taskQueues.control,
    args: [
      { studyId, plan: ref('study'), units: units.length, parallel },
      { searchable: false, archive: false },
    ],
  });

test('units that are done are passed over, one that fails hinders no other and is told at the end', async () => {
  const failed = await compare('one-by-one', 1);
  expect(failed).toEqual([{ unit: 'failing', cause: 'the judge is gone' }]);
  expect(seen.summarised).toEqual([failed]);
  expect(seen.recorded.map(({ unit, result, generation }) => [unit, result.sha256, generation.sha256])).toEqual([
    [1, 'result of asked', 'plan of asked'],
    [3, 'result of guided', 'plan of guided'],
  ]);
  expect(seen.planned.map((one) => (one as { of: string; arm?: object }).arm)).toEqual([
    undefined,
    undefined,
    units[3]!.inference,
  ]);
  expect(seen.most).toBe(1);
  expect(await client.workflow.getHandle('one-by-one').query(progressQuery)).toMatchObject({
    ...{ iteration: 4, iterations: 4, unitsMade: 2 },
  });
}, 60_000);

test('several units are at work at the same time where the study says so', async () => {
  await compare('at-once', 3);
  expect(seen.recorded.map(({ unit }) => unit).sort()).toEqual([1, 3]);
  expect(seen.most).toBeGreaterThan(1);
}, 60_000);
