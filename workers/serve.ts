/** Serves one task queue: the process behind `cada worker`, and the workers that embedded mode starts. */
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker, type NativeConnection, type WorkerOptions } from '@temporalio/worker';
import { createControlActivities } from '../activities/control.ts';
import type { ActivityDependencies } from '../activities/dependencies.ts';
import { createGpuActivities } from '../activities/gpu.ts';
import { createJudgeActivities } from '../activities/judge.ts';
import { createUseLedger, heartbeatThrottleMs, type UseLedger } from '../activities/useLedger.ts';
import { openStore } from '../infra/artifacts/artifactStore.ts';
import { connectWorker, type TemporalEndpoint } from '../infra/temporal/connection.ts';
import { dataConverter } from '../infra/temporal/payloadCodec.ts';
import { renewCredentials } from '../infra/temporal/renewedCredentials.ts';
import { taskQueues, type WorkerKind } from '../activities/types.ts';
import { drainingOf, type Draining } from './draining.ts';
import { versioningOf } from './versioning.ts';
import { createEngineShelf } from './engineShelf.ts';
import { requireSharedStore } from './sharedStore.ts';
import { workflowCode } from './workflowCode.ts';

export interface ServeOptions {
  kind: WorkerKind;
  storeUri: string;
  endpoint: TemporalEndpoint;
  /** Absolute `CADA_HOME`: local copies of models and scratch files lie below it. */
  home: string;
  /** Absolute `CADA_CACHE`: downloads. */
  cache: string;
  signal: AbortSignal;
  log: ActivityDependencies['log'];
  onReady?: () => void;
  /** Paths of further workflow interceptor modules of a control worker. */
  workflowInterceptors?: string[];
}

/**
 * Runs a worker until the signal is aborted, then drains it: no new work is taken, what runs gets the grace time (draining.ts) and is retried elsewhere otherwise.
 * @throws where store or server can't be reached, before any work is taken.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const { kind, home, signal } = options;
  const draining = drainingOf(process.env);
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const store = await openStore(options.storeUri);
  requireSharedStore(store.uri, options.endpoint.address);
  const scratchPath = await freshScratch(home);
  const use = createUseLedger(store, kind);
  const dependencies = {
    store,
    use,
    localPath: join(home, 'local'),
    scratchPath,
    downloadPath: options.cache,
    log: options.log,
  } satisfies ActivityDependencies;
  const engines = kind === 'gpu' ? createEngineShelf(join(home, 'local')) : undefined;
  const connection = await connectWorker(options.endpoint);
  let worker: Worker | undefined;
  let renewal: ReturnType<typeof renewCredentials> | undefined;
  try {
    worker = await Worker.create(await workerOptions(options, connection, dependencies, engines, draining));
    renewal = renewCredentials(worker, options.endpoint, { log: options.log });
    const stop = (): void => {
      if (!draining.finishes) engines?.killAll();
      if (worker?.getState() === 'RUNNING') worker.shutdown();
    };
    signal.addEventListener('abort', stop, { once: true });
    options.onReady?.();
    if (!signal.aborted) await worker.run();
  } finally {
    await engines?.closeAll();
    await renewal?.stop();
    await (worker?.connection ?? connection).close();
    await rm(scratchPath, { recursive: true, force: true });
  }
}

async function workerOptions(
  options: ServeOptions,
  connection: NativeConnection,
  dependencies: ActivityDependencies & { use: UseLedger },
  engines: ReturnType<typeof createEngineShelf> | undefined,
  { graceMs, forceMs }: Draining,
): Promise<WorkerOptions> {
  const interceptors: NonNullable<WorkerOptions['interceptors']> = {
    activity: [
      (context) => ({ inbound: { execute: (input, next) => dependencies.use.during(context, () => next(input)) } }),
    ],
  };
  const common = {
    connection,
    namespace: options.endpoint.namespace,
    taskQueue: taskQueues[options.kind],
    identity: `${options.kind}@${process.pid}`,
    dataConverter: dataConverter(process.env),
    shutdownGraceTime: graceMs,
    shutdownForceTime: forceMs,
    maxHeartbeatThrottleInterval: heartbeatThrottleMs,
    interceptors,
  } as const;
  switch (options.kind) {
    case 'control': {
      // In the repository the sources are bundled as they are; in an installed package their compiled form.
      const extension = import.meta.filename.endsWith('.ts') ? '.ts' : '.js';
      const { failureConverterPath } = common.dataConverter;
      return {
        ...common,
        workflowBundle: await workflowCode(
          {
            workflowsPath: fileURLToPath(new URL(`../workflows/index${extension}`, import.meta.url)),
            workflowInterceptorModules: options.workflowInterceptors ?? [],
            ...(failureConverterPath ? { failureConverterPath } : {}),
          },
          options.cache,
        ),
        activities: createControlActivities(dependencies),
        maxConcurrentActivityTaskExecutions: 8,
        maxCachedWorkflows: 100,
        ...versioningOf(process.env),
      };
    }
    case 'gpu':
      // One device, one slot.
      return {
        ...common,
        activities: createGpuActivities({ ...dependencies, engineFor: engines!.engineFor }),
        maxConcurrentActivityTaskExecutions: 1,
      };
    case 'judge':
      return { ...common, activities: createJudgeActivities(dependencies), maxConcurrentActivityTaskExecutions: 4 };
  }
}

/** A folder of this process alone; those of processes that have died go. */
async function freshScratch(home: string): Promise<string> {
  const root = join(home, 'local', 'scratch');
  await mkdir(root, { recursive: true });
  for (const name of await readdir(root)) {
    if (!isAlive(Number(name))) await rm(join(root, name), { recursive: true, force: true });
  }
  const folder = join(root, String(process.pid));
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  return folder;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
