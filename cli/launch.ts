/** The operations, put together from the parts that do them. */
import { openStore } from '../infra/artifacts/artifactStore.ts';
import { loadRun } from '../infra/artifacts/runs.ts';
import { runFolders, cadaCache } from '../infra/paths.ts';
import { resolveTemporal } from '../infra/temporal/connection.ts';
import { findServer } from '../infra/temporal/findServer.ts';
import { startEmbeddedServer } from '../infra/temporal/embeddedServer.ts';
import { progressQuery } from '../workflows/messages.ts';
import { badInput, badEnvironment } from './errors.ts';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';
import { readChains } from './operate/chains.ts';
import { deliver } from './operate/delivery.ts';
import { withRun } from './operate/runServer.ts';
import { collectGarbage, verify } from './operate/storeCare.ts';
import { examine } from './operate/examination.ts';
import { busyQueues, missingWorkerNote, missingWorkers, quickSnapshot, unknownSnapshot } from './operate/following.ts';
import { train, watch } from './operate/training.ts';
import type { ProgressSnapshot } from './progress/snapshot.ts';
import type { RunRecord } from '../activities/types.ts';
import { WorkflowUpdateFailedError, type WorkflowHandle } from '@temporalio/client';
import type { CadaOperations, ControlVerb, RunRequest, WorkRequest } from './operations.ts';

export async function openOperations(): Promise<CadaOperations> {
  return Promise.resolve({
    train,
    watch,
    progress: (request) => progress(request).catch(() => undefined),
    control: ({ by, ...request }, verb, ...args) =>
      withRun(request, async (_, handle) => {
        // A decision says itself who decides.
        const told = args.some((one) => typeof one === 'object' && 'by' in one) ? args : [...args, { by }];
        // The client's types ask for one argument wherever an update is named by a text.
        const update = await fitting(verb, handle);
        return handle
          .executeUpdate<string, [unknown]>(update, { args: told as unknown as [unknown] })
          .catch(refusedInWords);
      }),
    changeEnded: async (request, asked) => (await import('./operate/course.ts')).changeEnded(request, asked),
    fork: async (request) => (await import('./operate/course.ts')).prepareFork(request),
    work,
    examine,
    // The engine's native library costs half a second: only for those who need it.
    tryRequest: async (request) => (await import('./operate/answers.ts')).tryRequest(request),
    ask: async (request) => (await import('./operate/answers.ts')).ask(request),
    chains: readChains,
    deliver,
    summarise: async (request) => (await import('./operate/summary.ts')).summarise(request),
    verify,
    collectGarbage,
    serveUi,
  });
}

/** What the run refuses to do is no failure of the command: its sentence says what is possible. */
function refusedInWords(error: unknown): never {
  if (!(error instanceof WorkflowUpdateFailedError)) throw error;
  let cause: Error = error;
  while (cause.cause instanceof Error) cause = cause.cause;
  throw badInput(cause.message);
}

/** A run that waits has no iteration to end: it is ended where it is. One that does not wait may have stages that wait for their next attempt. */
async function fitting(verb: ControlVerb, handle: WorkflowHandle): Promise<ControlVerb> {
  if (verb !== 'stopAfterIteration' && verb !== 'retryStage') return verb;
  const { state } = await handle.query(progressQuery);
  if (verb === 'stopAfterIteration') return state === 'waiting' ? 'stopRun' : verb;
  return state === 'running' ? 'skipBackOff' : verb;
}

/** Nobody may answer for a run whose control worker is missing: that is told with what the store knows. */
function progress(request: RunRequest): Promise<ProgressSnapshot> {
  return withRun(request, async ({ client }, handle) => {
    const answered = await quickSnapshot(client, handle);
    const snapshot = answered ?? (await storedSnapshot(request));
    const missing = await missingWorkers(client, answered ? await busyQueues(client, handle) : []);
    return { ...snapshot, notes: [...snapshot.notes, ...missing.map(missingWorkerNote)] };
  });
}

async function storedSnapshot({ runId, storeUri }: RunRequest): Promise<ProgressSnapshot> {
  const record = (await loadRun<RunRecord>(await openStore(storeUri), runId))?.record;
  if (!record) return unknownSnapshot(runId);
  const { state, stage, iteration, iterations } = record;
  return { ...unknownSnapshot(runId), state, stage, iteration, iterations };
}

async function work({ kind, storeUri, home, signal }: WorkRequest): Promise<void> {
  const endpoint = resolveTemporal(process.env);
  if (endpoint.kind === 'embedded') {
    throw badInput('A worker needs a Temporal server to take work from.', 'Set TEMPORAL_ADDRESS to its host:port.');
  }
  // Loaded here only: Temporal's native library and the engine cost every other command a second.
  const { serve } = await import('../workers/serve.ts');
  const { openLog } = await import('../infra/logging/log.ts');
  const log = openLog({ name: `${kind} worker` });
  await serve({
    kind,
    storeUri,
    endpoint,
    home,
    cache: cadaCache(),
    signal,
    log,
    onReady: () => log.info({ kind, address: endpoint.address, store: storeUri }, 'worker ready'),
  });
}

async function serveUi({ home, runId, signal }: RunRequest, showAddress: (address: string) => void): Promise<void> {
  const folders = runFolders(home, runId);
  if (!existsSync(folders.temporalDatabase)) {
    throw badEnvironment(
      `There is no Temporal database of run ${runId} in ${folders.root}.`,
      'The UI of a run on an external server is at that server.',
    );
  }
  const { path } = await findServer();
  const server = await startEmbeddedServer({
    binaryPath: path,
    databaseFile: folders.temporalDatabase,
    logFile: join(folders.logs, 'temporal.log'),
  });
  try {
    showAddress(`${server.uiAddress}/namespaces/${server.namespace}/workflows/${encodeURIComponent(runId)}`);
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    await server.stop();
  }
}
