/**
 * Records the histories that replay.test.ts replays: `node test/workflows/recordHistories.ts` (`--steered`: the latter only; `--governed`: those with an audit log and a release only). Those of a whole run on the tiny model, and those of runs that
 * were steered, on stages without work. To be done again when workflows change in a way that old histories need not survive (docs/upgrades.md).
 * Addresses, machine and process names are replaced: a replay does not look at them.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { WorkflowHandle } from '@temporalio/client';
import { format } from 'prettier';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { listHistories, loadHistory } from '../../infra/artifacts/runs.ts';
import * as messages from '../../workflows/messages.ts';
import { eventually } from '../servers/temporalServer.ts';
import { createInstallation } from './cluster.ts';
import type { HistoryJson } from './historyEvents.ts';
import { instantConfiguration, startInstantCluster, type InstantCluster } from './instantStages.ts';

const recorded = {
  run: 'alignPolicy',
  'warm-start': 'warmStartPolicy',
  'iteration-2': 'runIteration',
  'evaluate-before': 'evaluatePolicy',
};
const neutralStore = 's3://bucket/cada';
const folder = join(import.meta.dirname, 'histories');

await mkdir(folder, { recursive: true });
if (!process.argv.some((flag) => ['--steered', '--governed'].includes(flag))) await recordWholeRun();
if (!process.argv.includes('--governed')) await recordSteeredRuns();
await recordGovernedRuns();
process.exit(0);

async function recordWholeRun(): Promise<void> {
  const runId = 'recorded';
  const installation = await createInstallation();
  try {
    const { outcome } = await installation.train(runId);
    if (outcome.state !== 'done') throw new Error(`the run ended ${outcome.state}: ${outcome.cause}`);
    const names = await listHistories(installation.store, runId);
    for (const [prefix, workflowType] of Object.entries(recorded)) {
      const name = names.find((one) => one.startsWith(`${prefix}.`))!;
      const history = await loadHistory<HistoryJson>(installation.store, runId, name);
      await write(workflowType, history, installation.store.uri, installation.folder);
    }
  } finally {
    await installation.remove();
  }
}

/** Each run is `recorded-<what>`; its history becomes `alignPolicy-<what>.json`. */
async function recordSteeredRuns(): Promise<void> {
  let cluster = await startInstantCluster();
  const keep = async (what: string, handle: WorkflowHandle): Promise<void> => {
    const history: unknown = JSON.parse(historyToJSON(await handle.fetchHistory()));
    await write(`alignPolicy-${what}`, history, cluster.store.uri, cluster.home);
  };
  try {
    await keep('middle', await heldInTheMiddle(cluster));
    await keep('paused', await paused(cluster));
    await keep('rolledBack', await rolledBack(cluster));
    await keep('guarded', await guarded(cluster));
    await cluster.stop();
    cluster = await startInstantCluster({ dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 100 } });
    const long = await cluster.start('recorded-continued', instantConfiguration({ count: 15 }), { archive: true });
    await long.result();
    // Of its executions the newest: it began with what the one before it had reached.
    await keep('continued', cluster.client.workflow.getHandle('recorded-continued'));
  } finally {
    await cluster.stop();
  }
}

/** Runs as they are since there is an audit log: their updates are told in it. */
async function recordGovernedRuns(): Promise<void> {
  const cluster = await startInstantCluster();
  try {
    for (const [what, handle] of [
      ['audited', await audited(cluster)],
      ['released', await released(cluster)],
    ] as const) {
      const history: unknown = JSON.parse(historyToJSON(await handle.fetchHistory()));
      await write(`alignPolicy-${what}`, history, cluster.store.uri, cluster.home);
    }
  } finally {
    await cluster.stop();
  }
}

async function audited(cluster: InstantCluster): Promise<WorkflowHandle> {
  const handle = await cluster.start('recorded-audited', instantConfiguration({ count: 1 }));
  await handle.executeUpdate<string, [unknown]>(messages.pauseUpdate.name, { args: [{ by: 'Ann' }] });
  await eventually('it holds', async () => (await cluster.record('recorded-audited')).state === 'paused');
  await handle.executeUpdate(messages.resumeUpdate);
  await handle.result();
  return handle;
}

/** Its time limit passes, then it is approved. */
async function released(cluster: InstantCluster): Promise<WorkflowHandle> {
  const release = { approval: 'required', timeoutHours: 0.001, onTimeout: 'wait' };
  const configuration = configurationSchema.parse({ ...instantConfiguration({ count: 1 }), release });
  const handle = await cluster.start('recorded-released', configuration);
  await eventually('its time is over', async () => {
    const { release: asked } = await cluster.record('recorded-released');
    return asked?.timedOut === true;
  });
  await handle.executeUpdate(messages.approveUpdate, { args: [{ by: 'Ann', why: 'read the report' }] });
  await handle.result();
  return handle;
}

async function heldInTheMiddle(cluster: InstantCluster): Promise<WorkflowHandle> {
  cluster.script.before = (stage, step) =>
    stage === 'computeGradients' && step?.iteration === 2 ? new Promise((done) => setTimeout(done, 4_000)) : undefined;
  const handle = await cluster.start('recorded-middle', instantConfiguration());
  await eventually('its second iteration', async () => (await handle.query(messages.progressQuery)).iteration === 2);
  return handle;
}

async function paused(cluster: InstantCluster): Promise<WorkflowHandle> {
  const handle = await cluster.start('recorded-paused', instantConfiguration());
  await eventually('its first iteration', async () => (await handle.query(messages.progressQuery)).iteration === 1);
  await handle.executeUpdate(messages.pauseUpdate);
  await eventually('it holds', async () => (await cluster.record('recorded-paused')).state === 'paused');
  return handle;
}

async function rolledBack(cluster: InstantCluster): Promise<WorkflowHandle> {
  cluster.script.before = (stage, step) =>
    stage === 'computeGradients' && step?.iteration === 2 && step.epoch === 0
      ? new Promise((done) => setTimeout(done, 4_000))
      : undefined;
  const handle = await cluster.start('recorded-rolledBack', instantConfiguration({ count: 2 }), { archive: true });
  await eventually('its second iteration', async () => (await handle.query(messages.progressQuery)).iteration === 2);
  await handle.executeUpdate(messages.changeSettingsUpdate, { args: [{ 'iteration.learningRate': 5e-4 }] });
  await handle.executeUpdate(messages.rollBackUpdate, { args: [1] });
  await handle.executeUpdate(messages.extendUpdate, { args: [1] });
  await handle.result();
  return handle;
}

async function guarded(cluster: InstantCluster): Promise<WorkflowHandle> {
  cluster.script.before = () => undefined;
  cluster.script.figures = ({ epoch, iteration }) => ({ kl: epoch === 0 && iteration === 2 ? 9 : 0.01 });
  const handle = await cluster.start('recorded-guarded', instantConfiguration({ guard: { maxKl: 1 } }));
  await handle.result();
  return handle;
}

async function write(name: string, history: unknown, store: string, ownFolder: string): Promise<void> {
  const text = JSON.stringify(scrubbed(history, store));
  if (text.includes(ownFolder)) throw new Error(`${name} still holds a path of this machine`);
  await writeFile(join(folder, `${name}.json`), await format(text, { parser: 'json', printWidth: 120 }));
  console.log(`${name}: recorded`);
}

/** Payloads with the store's address replaced; who did it left out. */
function scrubbed(value: unknown, store: string, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => scrubbed(one, store));
  if (typeof value === 'string') {
    // Sticky queues are named after their process too.
    if (key === 'identity' || /^\d+@/.test(value)) return 'process';
    return key === 'data' ? withNeutralStore(value, store) : value;
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, scrubbed(part, store, name)]));
}

function withNeutralStore(base64: string, store: string): string {
  const text = Buffer.from(base64, 'base64').toString('utf8');
  return Buffer.from(text.replaceAll(store, neutralStore)).toString('base64');
}
