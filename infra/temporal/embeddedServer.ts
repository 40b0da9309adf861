import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import type { ChildExit, SupervisedChild } from '../processes/supervisedChild.ts';
import { startChild } from '../processes/supervisedChild.ts';
import { freePorts, isPortFree } from './freePorts.ts';
import type { SearchAttributeKind } from './searchAttributes.ts';
import { registerSearchAttributes } from './searchAttributes.ts';
import type { ServerRecord } from './serverRecord.ts';
import { EMBEDDED_NAMESPACE, isAlive, isServing, readServerRecord, writeServerRecord } from './serverRecord.ts';

export interface EmbeddedServerOptions {
  binaryPath: string;
  /** SQLite file that keeps all histories; absent, they live in memory and end with the server. */
  databaseFile?: string;
  /** Port of the web UI. @default a free one, the one of last time where that is free */
  uiPort?: number;
  /** No web UI. @default false */
  headless?: boolean;
  /** Search attributes to register: name -> type. */
  searchAttributes?: Record<string, SearchAttributeKind>;
  logFile: string;
  /** Further settings of the server, for tests: "limit.historyCount.suggestContinueAsNew" -> 50. */
  dynamicConfig?: Record<string, string | number | boolean>;
  /** @default 60_000 */
  readyTimeoutMs?: number;
  /** Called when the server ends without `stop()`. `restart()` brings it back. */
  onExit?: (exit: ChildExit) => void;
}

export interface EmbeddedServer {
  readonly name: string;
  /** "127.0.0.1:PORT", for clients and workers. */
  readonly address: string;
  /** "http://127.0.0.1:PORT"; undefined when headless. */
  readonly uiAddress: string | undefined;
  readonly namespace: string;
  readonly pid: number;
  readonly running: boolean;
  stop(): Promise<void>;
  /** Starts it again on the same port and database after it died, so that workers reconnect. @throws Error when the port is taken meanwhile. */
  restart(): Promise<void>;
}

/** Ten years: the dev server forgets closed workflows after a day unless told otherwise. */
const RETENTION_MS = 3650 * 24 * 3600 * 1000;
/** The end of an earlier server is waited for when its owner is dead: after SIGKILL of a CLI its server takes a moment. */
const PREDECESSOR_WAIT_MS = 15_000;
/** A killed owner may still be listed, until its parent has taken note. */
const OWNER_WAIT_MS = 4_000;
const STOP_GRACE_MS = 10_000;

/**
 * Starts a Temporal dev server on the loopback address only and waits until it answers and its namespace keeps histories.
 *
 * @throws Error with the end of the server's log when it ends or is not ready in time, or when another live process serves the same database.
 */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  let { child, setting } = await launch(options, () => chooseSetting(options));
  let stopping = false;

  const watch = (watched: SupervisedChild): void => {
    void watched.exited.then((exit) => {
      if (!stopping && watched === child) options.onExit?.(exit);
    });
  };
  watch(child);

  return {
    name: 'Temporal server',
    address: `127.0.0.1:${setting.port}`,
    uiAddress: setting.uiPort === undefined ? undefined : `http://127.0.0.1:${setting.uiPort}`,
    namespace: EMBEDDED_NAMESPACE,
    get pid() {
      return child.pid;
    },
    get running() {
      return child.running;
    },
    stop: async () => {
      stopping = true;
      await child.stop();
    },
    restart: async () => {
      if (stopping) throw new Error('the Temporal server has been stopped');
      if (child.running) return;
      ({ child, setting } = await launch(options, async () => {
        // The kernel may hold the dead server's port for a moment.
        await waitUntilFree(setting.port);
        return setting;
      }));
      watch(child);
      if (stopping) await child.stop();
    },
  };
}

/** What every start on a database has to keep to, as far as it can. */
type Setting = Pick<ServerRecord, 'port' | 'uiPort' | 'readPartitions'>;

interface Launched {
  child: SupervisedChild;
  setting: Setting;
}

/** A server that was killed lets go of its database a moment after its process has ended. */
const LOCKED = /database is locked|SQLITE_BUSY/;
/** The server takes several ports of its own choice besides ours; another process may be quicker at any of them, upon which it exits or panics. */
const UNLUCKY = /^(?:panic|fatal error): |address already in use|can't (?:set|use) .*port/m;
const UNLUCKY_STARTS = 3;

/** Tries again, with a setting chosen anew, after starts that fail by chance. */
async function launch(options: EmbeddedServerOptions, choose: () => Promise<Setting>): Promise<Launched> {
  const deadline = Date.now() + PREDECESSOR_WAIT_MS;
  for (let unluckyStarts = 0; ;) {
    const setting = await choose();
    try {
      return { child: await launchOnce(options, setting), setting };
    } catch (error) {
      const { message } = error as Error;
      const again = LOCKED.test(message)
        ? Date.now() <= deadline
        : UNLUCKY.test(message) && ++unluckyStarts < UNLUCKY_STARTS;
      if (!again) throw error;
      await sleep(500);
    }
  }
}

async function launchOnce(options: EmbeddedServerOptions, setting: Setting): Promise<SupervisedChild> {
  const child = await startChild({
    name: 'Temporal server',
    command: options.binaryPath,
    args: serverArguments(options, setting),
    logFile: options.logFile,
    graceMs: STOP_GRACE_MS,
  });
  try {
    if (options.databaseFile)
      await writeServerRecord(options.databaseFile, { ...setting, pid: child.pid, ownerPid: process.pid });
    await prepare(child, setting.port, options);
    return child;
  } catch (error) {
    await child.stop();
    throw error;
  }
}

/**
 * With several partitions a worker of few slots may wait at one of them for minutes while its task lies in another. Tasks go to one only; where an earlier
 * version has left tasks in the others, these are still read. By default the server looks for tasks to hand out 20 times a second at most, so that each
 * activity and each workflow task of a run waits for up to 50 ms. By default it also tells its maker about itself, to hear of newer versions.
 */
const ownSettings = ({ readPartitions }: Setting): Record<string, number | boolean> => ({
  'frontend.enableServerVersionCheck': false,
  'history.transferProcessorMaxPollRPS': 1000,
  'matching.numTaskqueueWritePartitions': 1,
  ...(readPartitions ? { 'matching.numTaskqueueReadPartitions': readPartitions } : {}),
});

function serverArguments(options: EmbeddedServerOptions, setting: Setting): string[] {
  const { port, uiPort } = setting;
  return [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'error'],
    ...(options.databaseFile ? ['--db-filename', options.databaseFile] : []),
    // The UI's news feed is a request to the internet.
    ...(uiPort === undefined
      ? ['--headless']
      : ['--ui-port', String(uiPort), '--ui-ip', '127.0.0.1', '--ui-disable-news-fetch']),
    ...Object.entries(options.searchAttributes ?? {}).flatMap(([name, kind]) => [
      '--search-attribute',
      `${name}=${kind}`,
    ]),
    ...Object.entries({ ...ownSettings(setting), ...options.dynamicConfig }).flatMap(([key, value]) => [
      '--dynamic-config-value',
      `${key}=${JSON.stringify(value)}`,
    ]),
  ];
}

/** Waits until the namespace answers, then sets its retention and search attributes. */
async function prepare(child: SupervisedChild, port: number, options: EmbeddedServerOptions): Promise<void> {
  const timeoutMs = options.readyTimeoutMs ?? 60_000;
  const connection = await untilReady(child, port, timeoutMs, options.logFile);
  try {
    await connection.withDeadline(Date.now() + timeoutMs, async () => {
      await connection.workflowService.updateNamespace({
        namespace: EMBEDDED_NAMESPACE,
        config: { workflowExecutionRetentionTtl: msToTs(RETENTION_MS) },
      });
      await registerSearchAttributes(connection, EMBEDDED_NAMESPACE, options.searchAttributes ?? {});
    });
  } finally {
    await connection.close();
  }
}

/** A connection to the server's frontend, once its namespace answers. */
async function untilReady(
  child: SupervisedChild,
  port: number,
  timeoutMs: number,
  logFile: string,
): Promise<Connection> {
  const deadline = Date.now() + timeoutMs;
  let lastError: unknown;
  while (Date.now() < deadline) {
    if (!child.running) {
      const { code, signal } = await child.exited;
      throw new Error(
        `The Temporal server ended at once (${signal ?? `code ${code}`}). The end of ${logFile}:\n${await child.logTail()}`,
      );
    }
    let connection: Connection | undefined;
    try {
      connection = await Connection.connect({ address: `127.0.0.1:${port}`, connectTimeout: 1000 });
      const { workflowService } = connection;
      await connection.withDeadline(Date.now() + 2000, () =>
        workflowService.describeNamespace({ namespace: EMBEDDED_NAMESPACE }),
      );
      return connection;
    } catch (error) {
      // "Frontend is not healthy yet" and refused connections are normal for the first second.
      lastError = error;
      await connection?.close();
      await sleep(100);
    }
  }
  throw new Error(
    `The Temporal server was not ready after ${Math.round(timeoutMs / 1000)} s (${(lastError as Error | undefined)?.message}). ` +
      `The end of ${logFile}:\n${await child.logTail()}`,
    { cause: lastError },
  );
}

/** As last time, with the ports of then where they are free, after making sure that nobody serves this database now. */
async function chooseSetting(options: EmbeddedServerOptions): Promise<Setting> {
  const fresh = options.databaseFile === undefined || !existsSync(options.databaseFile);
  const record = options.databaseFile ? await readServerRecord(options.databaseFile) : undefined;
  if (options.databaseFile) await mkdir(dirname(options.databaseFile), { recursive: true });
  if (record) await waitForPredecessor(record, options.databaseFile as string);
  const [freshPort, freshUiPort] = (await freePorts(2)) as [number, number];
  const port = record && (await isPortFree(record.port)) ? record.port : freshPort;
  const kept: Setting = { port, ...(fresh || record?.readPartitions ? { readPartitions: 1 } : {}) };
  if (options.headless) return kept;
  const wanted = options.uiPort ?? record?.uiPort;
  if (wanted === undefined) return { ...kept, uiPort: freshUiPort };
  if (await isPortFree(wanted)) return { ...kept, uiPort: wanted };
  if (options.uiPort !== undefined)
    throw new Error(`Port ${options.uiPort} for the Temporal UI is taken; name another or leave it out`);
  return { ...kept, uiPort: freshUiPort };
}

async function waitForPredecessor(record: ServerRecord, databaseFile: string): Promise<void> {
  const start = Date.now();
  while (await isServing(record)) {
    if (Date.now() - start > (isAlive(record.ownerPid) ? OWNER_WAIT_MS : PREDECESSOR_WAIT_MS)) {
      throw new Error(
        `${databaseFile} is in use: process ${record.pid} serves it at 127.0.0.1:${record.port}. ` +
          'Another command is working on this run; wait for it, or stop it first',
      );
    }
    await sleep(200);
  }
}

async function waitUntilFree(port: number): Promise<void> {
  for (let attempt = 0; !(await isPortFree(port)); attempt++) {
    if (attempt === 50)
      throw new Error(
        `Port ${port} of the Temporal server that died is taken by another process: start the run again to use another port`,
      );
    await sleep(100);
  }
}
