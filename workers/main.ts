/** What the entry points share: addresses from the environment, SIGTERM drains. */
import { flushCompileCache } from 'node:module';
import { resolveTemporal } from '../infra/temporal/connection.ts';
import { artifactsFolder, cadaCache, cadaHome } from '../infra/paths.ts';
import type { WorkerKind } from '../activities/types.ts';
import { openLog } from '../infra/logging/log.ts';
import { serve, type ServeOptions } from './serve.ts';

/** @param more what else the worker is to be served with: tests add interceptors. */
export async function main(kind: WorkerKind, more: Pick<ServeOptions, 'workflowInterceptors'> = {}): Promise<void> {
  const log = openLog({ name: `${kind} worker` });
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stopping.abort());
  try {
    const target = resolveTemporal(process.env);
    if (target.kind === 'embedded')
      throw new Error('TEMPORAL_ADDRESS is not set: a worker needs the address of a Temporal server');
    const home = cadaHome();
    await serve({
      ...more,
      kind,
      storeUri: process.env.CADA_STORE || artifactsFolder(home),
      endpoint: target,
      home,
      cache: cadaCache(),
      signal: stopping.signal,
      log,
      onReady: () => {
        log.info({ kind, address: target.address }, 'worker ready');
        // Now, and not at its end: it may be killed.
        flushCompileCache();
      },
    });
    process.exit(0);
  } catch (error) {
    log.error({ error }, error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
