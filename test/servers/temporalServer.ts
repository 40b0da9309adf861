import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EmbeddedServer, EmbeddedServerOptions } from '../../infra/temporal/embeddedServer.ts';
import { startEmbeddedServer } from '../../infra/temporal/embeddedServer.ts';
import { findServer } from '../../infra/temporal/findServer.ts';

export interface TestServerOptions extends Pick<
  EmbeddedServerOptions,
  'searchAttributes' | 'dynamicConfig' | 'onExit'
> {
  /** Keep histories in a file, for tests that kill the server. @default false: in memory */
  database?: boolean;
  /** @default false */
  ui?: boolean;
  /** Where its folder is made. @default the system's temporary folder */
  within?: string;
}

export interface TestServer extends EmbeddedServer {
  /** A folder of this server's own; removed by `stop()`. */
  folder: string;
}

let binary: Promise<string> | undefined;

/** The path of a real Temporal binary: `CADA_TEMPORAL_CLI`, PATH, cache, or fetched. Looked up once a process. */
export async function temporalBinary(): Promise<string> {
  binary ??= findServer().then((found) => found.path);
  return await binary;
}

/**
 * Starts a real Temporal server for tests: headless, random loopback ports, its own temporary folder.
 * `await server.stop()` in `afterAll`; it ends with the test process in any case.
 */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { database = false, ui = false, within = tmpdir(), ...rest } = options;
  const folder = await mkdtemp(join(within, 'cada-temporal-'));
  const server = await startEmbeddedServer({
    binaryPath: await temporalBinary(),
    logFile: join(folder, 'temporal.log'),
    headless: !ui,
    ...(database && { databaseFile: join(folder, 'history.db') }),
    ...rest,
  });
  const descriptors = Object.getOwnPropertyDescriptors(server);
  return Object.defineProperties({} as TestServer, {
    ...descriptors,
    folder: { value: folder, enumerable: true },
    stop: {
      value: async () => {
        await server.stop();
        await rm(folder, { recursive: true, force: true });
      },
      enumerable: true,
    },
  });
}

/** Waits until a condition holds, asking every 50 ms. @throws Error naming what did not come. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await sleep(50);
  }
}
