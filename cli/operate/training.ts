/** Starting, resuming and following runs. */
import { WorkflowExecutionAlreadyStartedError, type Client, type WorkflowHandle } from '@temporalio/client';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { openStore, type ArtifactRef, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { loadRun } from '../../infra/artifacts/runs.ts';
import { cadaCache, runFolders } from '../../infra/paths.ts';
import {
  connectClient,
  resolveTemporal,
  type ConnectedClient,
  type TemporalEndpoint,
} from '../../infra/temporal/connection.ts';
import { runningServer } from '../../infra/temporal/runningServer.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { requireSharedStore } from '../../workers/sharedStore.ts';
import { startEmbeddedCluster, type EmbeddedCluster } from '../../workers/embedded.ts';
import type { RunInput, RunPlan } from '../../workflows/alignPolicy.ts';
import { taskQueues, type RunRecord } from '../../workflows/types.ts';
import { badInput, badEnvironment } from '../errors.ts';
import type { RunReporter, RunRequest, TrainOutcome, TrainRequest } from '../operations.ts';
import { readLibraryFiles } from './libraryFiles.ts';
import { followRun } from './following.ts';

/** A run that is already done in the store is told at once, without a server. Otherwise the run is started, or found where it is, and followed. */
export async function train(request: TrainRequest, report: RunReporter): Promise<TrainOutcome> {
  const { runId, configuration, storeUri } = request;
  const target = resolveTemporal(process.env);
  if (request.detach && target.kind === 'embedded') {
    throw badInput(
      '--detach needs a Temporal server that outlives this command.',
      'Set TEMPORAL_ADDRESS to one, or leave out --detach.',
    );
  }
  const store = await openStore(storeUri);
  const input = await publishInputs(store, runId, configuration);
  const record = (await loadRun<RunRecord>(store, runId))?.record;
  if (record?.state === 'done') {
    report.snapshot(finishedSnapshot(record));
    return { state: 'done' };
  }

  if (target.kind === 'external') {
    requireSharedStore(store.uri, target.address);
    const connected = await connectClient(target);
    try {
      const handle = await startRun(connected.client, input);
      if (request.detach) {
        report.line(`Run ${runId} is on ${target.address}. Follow it with \`cada watch ${runId}\`.`);
        return { state: 'running' };
      }
      return await followRun(connected.client, handle, runId, report, request);
    } finally {
      await connected.close();
    }
  }
  return trainEmbedded(request, input, report);
}

export async function watch(request: RunRequest, report: RunReporter): Promise<TrainOutcome> {
  return withRun(request, (connected, handle) =>
    followRun(connected.client, handle, request.runId, report, { ...request, wait: true }),
  );
}

/** Calls `use` with the run's workflow on the configured server, or on the embedded one of a run at work in another terminal. */
export async function withRun<T>(
  request: RunRequest,
  use: (connected: ConnectedClient, handle: WorkflowHandle) => Promise<T>,
): Promise<T> {
  const endpoint = await endpointOf(request);
  if (!endpoint) {
    throw badEnvironment(
      `No Temporal server is up for run ${request.runId}.`,
      'Go on with `cada train --resume`, or set TEMPORAL_ADDRESS.',
    );
  }
  const connected = await connectClient(endpoint, 3_000);
  try {
    return await use(connected, connected.client.workflow.getHandle(request.runId));
  } finally {
    await connected.close();
  }
}

/** The server that serves a run now: the configured one, else the embedded one beside its database. */
export async function endpointOf({
  home,
  runId,
}: Pick<RunRequest, 'home' | 'runId'>): Promise<TemporalEndpoint | undefined> {
  const target = resolveTemporal(process.env);
  if (target.kind === 'external') return target;
  return runningServer(runFolders(home, runId).temporalDatabase);
}

async function trainEmbedded(request: TrainRequest, input: RunInput, report: RunReporter): Promise<TrainOutcome> {
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
      report: (line) => report.line(line),
    });
    if (cluster.server.uiAddress) {
      report.uiAddress(
        `${cluster.server.uiAddress}/namespaces/${cluster.server.namespace}/workflows/${encodeURIComponent(runId)}`,
      );
    }
    if (signal.aborted) return { state: 'running' };
    connected = await connectClient(cluster.server);
    const handle = await startRun(connected.client, input);
    return await followRun(connected.client, handle, runId, report, { ...request, onFailedWorker: cluster.failed });
  } finally {
    await connected?.close().catch(() => {});
    await cluster?.stop();
  }
}

/** Publishes configuration and library, so that everything wrong with them is told before any work. */
async function publishInputs(store: ArtifactStore, runId: string, configuration: Configuration): Promise<RunInput> {
  const files = await readLibraryFiles(configuration.library.path);
  parseLibrary(files);
  const put = (value: unknown, kind: string): Promise<ArtifactRef> => store.putBytes(canonicalJson(value), kind);
  return {
    run: { runId, configuration: await put(configuration, 'configuration'), library: await put(files, 'library') },
    plan: runPlan(configuration),
  };
}

function runPlan({ warmStart, iteration, evaluation }: Configuration): RunPlan {
  const { probe } = evaluation;
  return {
    warmStart: warmStart.enabled,
    evaluateAfterWarmStart: evaluation.afterWarmStart && iteration.count > 0,
    iterations: iteration.count,
    klReference: iteration.klWeight > 0 ? iteration.klReference : 'none',
    probe: probe.harmful + probe.plain + probe.lookAlike > 0,
  };
}

/** Starts the run, or finds the one with this id: two commands for one run are one run. A run that failed or was cancelled is started again; its finished stages are found in the store. */
async function startRun(client: Client, input: RunInput): Promise<WorkflowHandle> {
  const { runId } = input.run;
  try {
    return await client.workflow.start('alignPolicy', {
      workflowId: runId,
      taskQueue: taskQueues.control,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      staticSummary: `CADA run ${runId}`,
      memo: { runId },
    });
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return client.workflow.getHandle(runId);
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
    finishedStages: Object.entries(record.wallSeconds).map(([stage, seconds]) => ({ stage, seconds, cached: true })),
  };
}
