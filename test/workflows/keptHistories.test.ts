/** Histories that a run keeps by itself. Real server, stages without work. */
import { resolve } from 'node:path';
import { Worker } from '@temporalio/worker';
import { beforeAll, expect, test } from 'vitest';
import { listHistories, loadHistory } from '../../infra/artifacts/runs.ts';
import { eventually } from '../servers/temporalServer.ts';
import type { HistoryJson } from './historyEvents.ts';
import { instantConfiguration, type InstantCluster } from './instantStages.ts';
import { steeredRuns } from './steeredRuns.ts';

const { linesOf, ...runs } = steeredRuns();
let cluster: InstantCluster;
beforeAll(() => {
  cluster = runs.cluster();
});

test('a run that no command follows keeps its histories itself: named by its lineage, replayable', async () => {
  const handle = await cluster.start('detached', instantConfiguration({ count: 2 }), { archive: true });
  await handle.result();
  const isKept = (name: string) => name.startsWith('run.');
  await eventually('its history is kept', async () => (await listHistories(cluster.store, 'detached')).some(isKept));
  const names = await listHistories(cluster.store, 'detached');
  expect(names.map((name) => name.replace(/\.[0-9a-f]{8}$/, '')).sort()).toEqual([
    'evaluate-after',
    'evaluate-before',
    'iteration-1',
    'iteration-2',
    'run',
    'warm-start',
  ]);
  for (const { history } of await linesOf('detached')) expect(names).toContain(history);
  for (const name of names) {
    const history = (await loadHistory<HistoryJson>(cluster.store, 'detached', name))!;
    const workflowId = name.startsWith('run.') ? 'detached' : `detached/${name.replace(/\.[0-9a-f]{8}$/, '')}`;
    await Worker.runReplayHistory({ workflowsPath: resolve('workflows/index.ts') }, history, workflowId);
  }
});

test('two executions of a run in one minute have an archiver each', async () => {
  for (let execution = 0; execution < 2; execution++)
    await (await cluster.start('twice', instantConfiguration({ count: 1 }), { archive: true })).result();
  const kept = async () => (await listHistories(cluster.store, 'twice')).filter((name) => name.startsWith('run.'));
  await eventually('both histories are kept', async () => (await kept()).length === 2);
  const archivers = new Set<string>();
  for await (const { workflowId } of cluster.client.workflow.list({ query: 'WorkflowType = "archiveRun"' }))
    if (workflowId.startsWith('twice/')) archivers.add(workflowId);
  expect(archivers.size).toBe(2);
});
