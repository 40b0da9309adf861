/**
 * Credentials of a Temporal server that are exchanged while a process runs: certificate files and the API key in `temporal.toml` are read again.
 * Environment variables can't change in a running process.
 */
import { isDeepStrictEqual } from 'node:util';
import type { NativeConnection } from '@temporalio/worker';
import { connectWorker, resolveTemporal } from './connection.ts';
import type { TemporalConnectionOptions, TemporalEndpoint } from './connection.ts';

/** The part of a worker that has to do with its connection. */
export interface ConnectedWorker {
  get connection(): NativeConnection | undefined;
  set connection(connection: NativeConnection);
}

export interface RenewalOptions {
  /** Where the settings are read. @default process.env */
  env?: NodeJS.ProcessEnv;
  /** Time between two looks at them, in milliseconds. @default 10 s: a server's refusal ends a worker after a minute */
  everyMs?: number;
  log: { info(fields: object, text: string): void; warn(fields: object, text: string): void };
}

const lookMs = 10_000;

/**
 * Gives a running worker what its settings say by now: another API key goes with the next request, another certificate with a new connection, which takes
 * the place of the old one. Settings that can't be used (a file that is half written, a certificate without its key) change nothing and are looked at
 * again.
 *
 * @param endpoint what the worker was connected with; address and namespace stay.
 * @returns what ends it; to be called before the worker's connection is closed.
 */
export function renewCredentials(
  worker: ConnectedWorker,
  endpoint: TemporalEndpoint,
  { env = process.env, everyMs = lookMs, log }: RenewalOptions,
): { stop(): Promise<void> } {
  let inUse = endpoint.connection;
  let warned: string | undefined;
  const look = async (): Promise<void> => {
    try {
      const found = connectionOf(env);
      if (!inUse || !found) return;
      const sameTls = isDeepStrictEqual(found.tls, inUse.tls);
      if (sameTls && found.apiKey === inUse.apiKey) return;
      const { address } = inUse;
      const next: TemporalConnectionOptions = { ...found, address };
      if (sameTls && next.apiKey !== undefined) {
        await worker.connection?.setApiKey(next.apiKey);
      } else {
        const before = worker.connection;
        await replace(worker, await connectWorker({ ...endpoint, connection: next }));
        await before?.close();
      }
      inUse = next;
      warned = undefined;
      log.info({ address }, 'credentials of the Temporal server renewed');
    } catch (error) {
      const { message } = error as Error;
      if (message !== warned)
        log.warn({ cause: message }, 'the new credentials of the Temporal server can not be used yet');
      warned = message;
    }
  };
  let looking = Promise.resolve();
  let timer = setTimeout(tick, everyMs);
  function tick(): void {
    looking = look().then(() => void (timer = setTimeout(tick, everyMs)));
  }
  return {
    async stop() {
      clearTimeout(timer);
      await looking;
      clearTimeout(timer);
    },
  };
}

async function replace(worker: ConnectedWorker, fresh: NativeConnection): Promise<void> {
  try {
    worker.connection = fresh;
  } catch (error) {
    // The worker has ended meanwhile.
    await fresh.close();
    throw error;
  }
}

function connectionOf(env: NodeJS.ProcessEnv): TemporalConnectionOptions | undefined {
  const target = resolveTemporal(env);
  return target.kind === 'external' ? target.connection : undefined;
}
