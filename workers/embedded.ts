/** Everything a run needs on one machine: Temporal server and workers as processes of their own, restarted when they die, stopped in order. */
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { keepAlive, type KeptChild } from '../infra/processes/keepAlive.ts';
import { startChild, stopAll } from '../infra/processes/supervisedChild.ts';
import { runFolders } from '../infra/paths.ts';
import { embeddedEnvironment } from '../infra/temporal/connection.ts';
import { startEmbeddedServer, type EmbeddedServer } from '../infra/temporal/embeddedServer.ts';
import { findServer } from '../infra/temporal/findServer.ts';
import { stateAttribute, type WorkerKind } from '../activities/types.ts';

export interface EmbeddedOptions {
  runId: string;
  storeUri: string;
  home: string;
  cache: string;
  env: NodeJS.ProcessEnv;
  /** Tells what is being set up or restarted. */
  report: (line: string, importance?: 'routine') => void;
  /** Ends the search for a server, and a download with it. */
  signal?: AbortSignal;
}

export interface EmbeddedCluster {
  server: EmbeddedServer;
  /** Rejects when a worker died too often and was given up; stays pending otherwise. */
  failed: Promise<never>;
  stop(): Promise<void>;
}

export async function startEmbeddedCluster(options: EmbeddedOptions): Promise<EmbeddedCluster> {
  const { runId, home, report } = options;
  const folders = runFolders(home, runId);
  const server = await startServer(options);
  try {
    const workers: KeptChild[] = [];
    for (const kind of ['control', 'gpu', 'judge'] as const) {
      workers.push(await startWorker(options, kind, server, join(folders.logs, `worker-${kind}.log`)));
    }
    // The gpu worker's engine belongs to its process group and ends with it.
    const failed = new Promise<never>((_resolve, reject) => {
      for (const worker of workers) worker.ended.catch(reject);
    });
    // Observed by whoever follows the run; until then it must not end the process.
    failed.catch(() => {});
    return { server, failed, stop: () => stopAll([workers, [server]]) };
  } catch (error) {
    await server.stop();
    report('the workers could not be started');
    throw error;
  }
}

async function startServer({ runId, home, env, report, signal }: EmbeddedOptions): Promise<EmbeddedServer> {
  const folders = runFolders(home, runId);
  let fetching = false;
  const found = await findServer({
    env,
    ...(signal ? { signal } : {}),
    onStep: ({ source, state, detail, absent = false }) => {
      // A server that was found at once, and places where there is none, are as expected.
      fetching ||= state === 'trying';
      const routine = absent || (state === 'found' && !fetching);
      report(`Temporal server, ${source}: ${state}, ${detail}`, routine ? 'routine' : undefined);
    },
  });
  const server: EmbeddedServer = await startEmbeddedServer({
    binaryPath: found.path,
    databaseFile: folders.temporalDatabase,
    searchAttributes: { [stateAttribute]: 'Keyword' },
    logFile: join(folders.logs, 'temporal.log'),
    onExit: (exit) => {
      report(`the Temporal server ended (${exit.signal ?? `code ${exit.code}`}) and is started again`);
      server
        .restart()
        .catch((error: unknown) => report(`the Temporal server could not be started again: ${String(error)}`));
    },
  });
  return server;
}

function startWorker(
  { storeUri, home, cache, env, report }: EmbeddedOptions,
  kind: WorkerKind,
  server: EmbeddedServer,
  logFile: string,
): Promise<KeptChild> {
  // In the repository Node runs the sources; in an installed package their compiled form.
  const extension = import.meta.filename.endsWith('.ts') ? '.ts' : '.js';
  const start = () =>
    startChild({
      name: `${kind} worker`,
      command: process.execPath,
      args: [fileURLToPath(new URL(`./${kind}${extension}`, import.meta.url))],
      env: {
        ...embeddedEnvironment(env, server),
        CADA_STORE: storeUri,
        CADA_HOME: home,
        CADA_CACHE: cache,
        // Nobody else would take over meanwhile: Ctrl-C stops at once.
        CADA_DRAIN_SECONDS: '',
      },
      logFile,
    });
  return keepAlive(start, {
    onRestart: ({ name, exit }) =>
      report(`the ${name} ended (${exit.signal ?? `code ${exit.code}`}) and is started again`),
  });
}
