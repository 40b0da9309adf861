/** Starting, resuming and following runs. */
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
  type WorkflowHandle,
} from '@temporalio/client';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { openStore, type ArtifactRef, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { appendAudit } from '../../infra/artifacts/audit.ts';
import { loadRun, saveRun } from '../../infra/artifacts/runs.ts';
import { cadaCache } from '../../infra/paths.ts';
import { connectClient, resolveTemporal, type ConnectedClient } from '../../infra/temporal/connection.ts';
import { registerSearchAttributes } from '../../infra/temporal/searchAttributes.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { readJson } from '../../activities/inputs.ts';
import { runPlan } from '../../activities/runPlan.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { requireSharedStore } from '../../workers/sharedStore.ts';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../workers/embedded.ts';
import type { RunInput } from '../../workflows/alignPolicy.ts';
import { carriedOver } from '../../workflows/carriedMemory.ts';
import { resumeUpdate, retryStageUpdate } from '../../workflows/messages.ts';
import { stateAttribute, taskQueues, type RunRecord, type ServerTraits } from '../../activities/types.ts';
import { engineVersion } from '../../engine/version.ts';
import { badInput } from '../errors.ts';
import type { RunReporter, RunRequest, TrainOutcome, TrainRequest } from '../operations.ts';
import { followRun, type FollowOptions } from './following.ts';
import { packageVersion } from '../packageRoot.ts';
import { benchmarksIn, readBenchmarks } from './benchmarkFiles.ts';
import { readRunLibrary } from './libraryFiles.ts';
import { finishedBefore, memoryFromRecord } from './resuming.ts';
import { endpointOf, withRun } from './runServer.ts';
import { keepTold } from './workflowRun.ts';

/** A run that is already done in the store is told at once, without a server. Otherwise the run is started, or found where it is, and followed. */
export async function train(request: TrainRequest, report: RunReporter): Promise<TrainOutcome> {
  const { runId, storeUri } = request;
  const target = resolveTemporal(process.env);
  if (request.detach && target.kind === 'embedded') {
    throw badInput(
      '--detach needs a Temporal server that outlives this command.',
      'Set TEMPORAL_ADDRESS to one, or leave out --detach.',
    );
  }
  const store = await openStore(storeUri);
  const record = (await loadRun<RunRecord>(store, runId))?.record;
  const input = await publishInputs(store, request, record, report);
  if (record?.state === 'done') {
    report.snapshot(finishedSnapshot(record));
    return { state: 'done', foundDone: true };
  }

  if (target.kind === 'external') {
    requireSharedStore(store.uri, target.address);
    const connected = await connectClient(target);
    try {
      if (!record) await announce(store, input);
      const handle = await startRun(
        connected,
        store,
        { ...input, server: await traitsOf(connected, report) },
        { record, by: request.by, again: false },
        report,
      );
      await wake(handle, request.by, record, report);
      if (request.detach) {
        report.line(`Run ${runId} is on ${target.address}. Follow it with \`cada watch ${runId}\`.`);
        return { state: 'running' };
      }
      return await followToEnd(connected.client, handle, request, report);
    } finally {
      await connected.close();
    }
  }
  return trainEmbedded(request, input, record, report);
}

export async function watch(request: RunRequest, report: RunReporter): Promise<TrainOutcome> {
  try {
    return await withRun(request, (connected, handle) =>
      followToEnd(connected.client, handle, { ...request, wait: true }, report),
    );
  } catch (error) {
    // An embedded server ends with the command that started it; what the run came to is in the store.
    if (resolveTemporal(process.env).kind === 'external' || (await endpointOf(request))) throw error;
    const record = (await loadRun<RunRecord>(await openStore(request.storeUri), request.runId))?.record;
    if (!record) throw error;
    if (['running', 'awaiting approval'].includes(record.state))
      report.line('The command that ran it was stopped; `cada train --resume` goes on.');
    return { state: record.state, ...(record.cause ? { cause: record.cause } : {}) };
  }
}

async function trainEmbedded(
  request: TrainRequest,
  input: Omit<RunInput, 'server'>,
  record: RunRecord | undefined,
  report: RunReporter,
): Promise<TrainOutcome> {
  const { runId, storeUri, home, signal } = request;
  let cluster: EmbeddedCluster | undefined;
  let connected: ConnectedClient | undefined;
  try {
    cluster = await startEmbeddedCluster({
      runId,
      storeUri,
      home,
      cache: cadaCache(),
      env: process.env,
      signal,
      report: (line, importance) => report.line(line, importance),
    });
    if (cluster.server.uiAddress) {
      report.uiAddress(
        `${cluster.server.uiAddress}/namespaces/${cluster.server.namespace}/workflows/${encodeURIComponent(runId)}`,
      );
    }
    if (signal.aborted) return { state: 'running' };
    connected = await connectClient(cluster.server);
    const store = await openStore(storeUri);
    if (!record) await announce(store, input);
    const server: ServerTraits = { searchable: true, archive: false };
    const handle = await startRun(
      connected,
      store,
      { ...input, server },
      { record, by: request.by, again: true },
      report,
    );
    await wake(handle, request.by, record, report);
    return await followToEnd(connected.client, handle, { ...request, onFailedWorker: cluster.failed }, report);
  } finally {
    await connected?.close().catch(() => {});
    await cluster?.stop();
  }
}

/** Follows the run; once it has ended, keeps its histories in the store. That they could not be kept changes nothing about the run: it is only told. */
async function followToEnd(
  client: Client,
  handle: WorkflowHandle,
  request: RunRequest & FollowOptions,
  report: RunReporter,
): Promise<TrainOutcome> {
  const outcome = await followRun(client, handle, request.runId, report, request);
  if (['done', 'stopped', 'failed', 'cancelled'].includes(outcome.state)) {
    const store = await openStore(request.storeUri);
    await keepTold(client, { id: request.runId, store, report: (line) => report.line(line) }, 'run');
  }
  return outcome;
}

/** The command goes on with its run: one that waits for its operator tries the failed stage again, a paused one proceeds. */
async function wake(
  handle: WorkflowHandle,
  by: string,
  record: RunRecord | undefined,
  report: RunReporter,
): Promise<void> {
  const update = record?.state === 'waiting' ? retryStageUpdate : record?.state === 'paused' ? resumeUpdate : undefined;
  if (!update) return;
  try {
    report.line(
      `The run was ${record!.state}: ${await handle.executeUpdate<string, [unknown]>(update.name, { args: [{ by }] })}.`,
    );
  } catch (error) {
    // The record is a moment old, or of a database that is lost: the run is at work already.
    if (!(error instanceof WorkflowUpdateFailedError)) throw error;
  }
}

/**
 * Publishes configuration and library, and looks at the model, so that everything wrong with them is told before any work.
 * A run that exists keeps the library it began with.
 */
async function publishInputs(
  store: ArtifactStore,
  { runId, configuration }: TrainRequest,
  record: RunRecord | undefined,
  report: RunReporter,
): Promise<Omit<RunInput, 'server'>> {
  const note = (line: string): void => report.line(line);
  // What a run was decontaminated of is settled when it begins: its benchmarks need not be on this machine again.
  const begun = record && configuration.library.decontaminate && (await readStoredLibrary(store, record));
  const files = {
    ...(begun ?? (await readRunLibrary(configuration.library, { note }))),
    ...(record
      ? benchmarksIn(begun ?? (await readStoredLibrary(store, record)))
      : await readBenchmarks(
          configuration.evaluation.benchmarks,
          { data: process.env['CADA_DATA'] || undefined, cache: cadaCache() },
          note,
        )),
  };
  const library = parseLibrary(files);
  // Loaded here only: the formats cost the other commands time.
  const { checkLocalModel, checkRequests } = await import('./inputChecks.ts');
  if (record?.state !== 'done') {
    checkRequests(configuration, library);
    await checkLocalModel(configuration);
  }
  const put = (value: unknown, kind: string): Promise<ArtifactRef> => store.putBytes(canonicalJson(value), kind);
  const published = await put(files, 'library');
  if (record && record.library.sha256 !== published.sha256) {
    report.line('The library has changed since this run began; it keeps to the old one. `--fresh` starts another run.');
  }
  const begunWith = await put(configuration, 'configuration');
  // Its operator, or its guard, has changed settings since.
  const current = record?.courseChanges ? record.configuration : begunWith;
  return {
    run: { runId, configuration: current, library: record?.library ?? published },
    plan: runPlan(current === begunWith ? configuration : await readJson<Configuration>(store, current)),
  };
}

const readStoredLibrary = (store: ArtifactStore, { library }: RunRecord): Promise<Record<string, string>> =>
  readJson<Record<string, string>>(store, library);

/** An external server outlives this command, and may lack the search attribute; without it a run works as well. */
async function traitsOf({ connection, client }: ConnectedClient, report: RunReporter): Promise<ServerTraits> {
  try {
    await registerSearchAttributes(connection, client.options.namespace, { [stateAttribute]: 'Keyword' });
    return { searchable: true, archive: true };
  } catch (error) {
    report.line(`Runs can not be searched for by their state: ${(error as Error).message}`, 'routine');
    return { searchable: false, archive: true };
  }
}

/** The run's first record: `cada status` and `cada watch` know of the run before a worker has taken it up. */
async function announce(store: ArtifactStore, { run, plan }: Pick<RunInput, 'run' | 'plan'>): Promise<void> {
  const record: RunRecord = {
    ...run,
    state: 'running',
    stage: 'start',
    iteration: 0,
    iterations: plan.iterations,
    evaluations: {},
    wallSeconds: {},
    peakMemoryBytes: {},
  };
  await saveRun(store, run.runId, record);
}

/** Starts the run, or finds the one with this id: two commands for one run are one run. A run that failed, was stopped or cancelled goes on from its record. */
async function startRun(
  { client }: ConnectedClient,
  store: ArtifactStore,
  input: RunInput,
  start: StartedBy,
  report: RunReporter,
): Promise<WorkflowHandle> {
  const { runId } = input.run;
  const { record } = start;
  // A run that is at work remembers by itself.
  const carried =
    record && !(await isRunning(client, runId)) ? await memoryFromRecord(store, record, input.plan, report) : undefined;
  try {
    const handle = await client.workflow.start('alignPolicy', {
      workflowId: runId,
      taskQueue: taskQueues.control,
      args: carried ? [input, ...carriedOver(carried)] : [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      staticSummary: `CADA run ${runId}`,
      memo: { runId },
    });
    await tellStart(store, input, start, handle.firstExecutionRunId);
    return handle;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return client.workflow.getHandle(runId);
    throw error;
  }
}

interface StartedBy {
  record: RunRecord | undefined;
  by: string;
  /** Workers and server are this command's: nobody else was at work, and an execution that is found goes on by it. */
  again: boolean;
}

/** On a server that others use once for each execution, however many commands join it. */
async function tellStart(
  store: ArtifactStore,
  { run }: RunInput,
  { record, by, again }: StartedBy,
  executionId: string,
): Promise<void> {
  const details = {
    ...{ configuration: run.configuration.sha256, library: run.library.sha256 },
    ...{ version: packageVersion(), engine: engineVersion },
    ...(record
      ? { state: record.state, stage: record.stage, epoch: record.epoch ?? 0, iteration: record.iteration }
      : {}),
  };
  const note = { who: by, what: record ? 'run resumed' : 'run started', details };
  await appendAudit(store, run.runId, note, again ? {} : { event: `start/${executionId}` });
}

async function isRunning(client: Client, runId: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(runId).describe()).status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

function finishedSnapshot(record: RunRecord) {
  return {
    runId: record.runId,
    state: record.state,
    stage: 'done',
    iteration: record.iteration,
    iterations: record.iterations,
    shardsDone: 0,
    shardsTotal: 0,
    notes: [],
    finishedStages: finishedBefore(record),
  };
}
