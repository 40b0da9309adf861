/**
 * A whole cluster of real processes that can be harmed one by one: a Temporal server with its database on disk, an S3 server, one control, two gpu and one
 * judge worker, each as on a machine of its own: with its own folders, and a proxy of its own before either server.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { WorkerKind } from '../../activities/types.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { startFaultyProxy, type FaultyProxy } from '../servers/faultyProxy.ts';
import { startS3Server, type S3Server, type S3ServerChoice } from '../servers/s3Server.ts';
import { startTcpProxy, type TcpProxy } from '../servers/tcpProxy.ts';
import { startTestServer, type TestServer } from '../servers/temporalServer.ts';
import { engineOf } from '../workflows/workerEngine.ts';
import { followLog, type LogFollower } from './logFollower.ts';
import { createWire, type Wire } from './wire.ts';

export interface Machine {
  name: string;
  kind: WorkerKind;
  home: string;
  s3Proxy: FaultyProxy;
  temporalProxy: TcpProxy;
  log: LogFollower;
  /** Of the worker that is there now; undefined between two. */
  pid: number | undefined;
  /** Worker processes so far. */
  starts: number;
  /** The process id of its engine, while it has one. */
  engine(): Promise<number | undefined>;
  /** False: it stays away when it has ended. */
  keep: boolean;
  start(): void;
  stop(): Promise<void>;
  /** Shifts the clock that its processes see: "+3h", "-2d". */
  setClock(offset: string): Promise<void>;
}

export interface Cluster {
  folder: string;
  temporal: TestServer;
  s3: S3Server;
  storeUri: string;
  store: ArtifactStore;
  machines: Machine[];
  machine(name: string): Machine;
  /** What passes between the workers and S3. */
  wire: Wire;
  /** For `cada` commands, which are not behind the proxies. */
  environment(name: string): NodeJS.ProcessEnv;
  addMachine(name: string, kind: WorkerKind, options?: MachineOptions): Promise<Machine>;
  /** Another Temporal server with an empty database, in the place of this one. */
  loseTemporalDatabase(): Promise<void>;
  /** Ends everything; the processes that are still there afterwards. */
  stop(): Promise<string[]>;
}

export interface MachineOptions {
  /** Root of the sources. @default this repository */
  sources?: string;
  env?: NodeJS.ProcessEnv;
  /** An empty folder to use as `CADA_HOME`. */
  home?: string;
  /** Path of libfaketime, so that `setClock` works. */
  fakeTime?: string;
}

export interface ClusterOptions {
  s3: S3ServerChoice;
  /** A store that was there before: its server is kept and not stopped. */
  store?: { s3: S3Server; uri: string };
  /** A run continues as new after so many events. */
  historyEvents?: number;
  machines?: readonly (readonly [name: string, kind: WorkerKind])[];
  machineOptions?: (name: string) => MachineOptions;
}

export const usualMachines = [
  ['control', 'control'],
  ['gpu-1', 'gpu'],
  ['gpu-2', 'gpu'],
  ['judge', 'judge'],
] as const;

/** How long a service manager leaves a worker that ended. */
const restartMs = 300;

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), 'cada-durability-'));
  const dynamicConfig = { 'limit.historyCount.suggestContinueAsNew': options.historyEvents ?? 24 };
  const startTemporal = (): Promise<TestServer> => {
    let own: TestServer | undefined = undefined;
    const started = startTestServer({
      database: true,
      dynamicConfig,
      // As in embedded mode: brought back as soon as it has ended.
      onExit: () => void own?.restart().catch((error: unknown) => console.log(String(error))),
    });
    return started.then((server) => (own = server));
  };
  const s3 = options.store?.s3 ?? (await startS3Server(options.s3));
  let temporal = await startTemporal();
  // Lists hold the addresses of what they list: runs that are compared have stores of one address.
  const storeUri = options.store?.uri ?? `s3://${await s3.makeBucket('durability')}/cada`;
  const wire = createWire();
  const machines: Machine[] = [];
  let stopping = false;

  async function addMachine(name: string, kind: WorkerKind, own: MachineOptions = {}): Promise<Machine> {
    const home = own.home ?? join(folder, name, 'home');
    await mkdir(home, { recursive: true });
    const s3Proxy = await startFaultyProxy(s3.endpoint);
    wire.watch(name, s3Proxy);
    const temporalProxy = await startTcpProxy(temporal.address);
    const logFile = join(folder, 'logs', `${name}.log`);
    mkdirSync(join(folder, 'logs'), { recursive: true });
    const log = followLog(logFile, name);
    const sources = own.sources ?? fileURLToPath(new URL('../..', import.meta.url));
    const clockFile = join(folder, `${name}.clock`);
    if (own.fakeTime) await writeFile(clockFile, '+0');
    // Timers go by the monotonic clock, which no jump touches.
    const fakeTime = own.fakeTime && {
      LD_PRELOAD: own.fakeTime,
      FAKETIME_TIMESTAMP_FILE: clockFile,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
    let child: ChildProcess | undefined;
    const machine: Machine = {
      name,
      kind,
      home,
      s3Proxy,
      temporalProxy,
      log,
      pid: undefined,
      starts: 0,
      keep: true,
      engine: () => engineOf(machine.pid),
      setClock: (offset) => writeFile(clockFile, offset),
      start() {
        const output = openSync(logFile, 'a');
        const started = spawn(process.execPath, [join(sources, 'test/durability/worker.ts'), kind], {
          cwd: sources,
          env: {
            ...environment(name),
            CADA_HOME: home,
            TEMPORAL_ADDRESS: temporalProxy.address,
            AWS_ENDPOINT_URL_S3: s3Proxy.endpoint,
            ...fakeTime,
            ...own.env,
          },
          stdio: ['pipe', output, output],
        });
        closeSync(output);
        started.stdin?.on('error', () => undefined);
        child = started;
        machine.pid = started.pid;
        machine.starts += 1;
        started.once('exit', () => {
          if (child !== started) return;
          machine.pid = undefined;
          if (!stopping && machine.keep) setTimeout(() => !stopping && machine.keep && machine.start(), restartMs);
        });
      },
      async stop() {
        machine.keep = false;
        const running = child;
        if (!running || running.exitCode !== null || running.signalCode !== null) return;
        const ended = new Promise((done) => running.once('exit', done));
        running.kill('SIGCONT');
        running.kill('SIGTERM');
        const timer = setTimeout(() => running.kill('SIGKILL'), 15_000);
        await ended;
        clearTimeout(timer);
      },
    };
    machines.push(machine);
    machine.start();
    return machine;
  }

  function environment(name: string): NodeJS.ProcessEnv {
    const inherited = Object.entries(process.env).filter(([key]) => !/^(CADA_|TEMPORAL_|AWS_|npm_|VITEST)/.test(key));
    return {
      ...Object.fromEntries(inherited),
      NO_COLOR: '1',
      // By this the processes of the cluster, and their children, are known.
      DURABILITY_CLUSTER: folder,
      TEMPORAL_ADDRESS: temporal.address,
      CADA_SPINNING: 'off',
      CADA_STORE: storeUri,
      CADA_HOME: join(folder, name, 'home'),
      CADA_CACHE: join(folder, name, 'cache'),
      ...s3.env,
    };
  }

  const cluster: Cluster = {
    folder,
    get temporal() {
      return temporal;
    },
    s3,
    storeUri,
    // By its own environment: clusters at work beside it have stores of the same address at other servers.
    store: await openStore(storeUri, { env: s3.env, s3: { client: { credentials: s3.credentials } } }),
    machines,
    machine: (name) => machines.find((machine) => machine.name === name)!,
    wire,
    environment,
    addMachine,
    async loseTemporalDatabase() {
      await temporal.stop();
      temporal = await startTemporal();
      for (const { temporalProxy } of machines) temporalProxy.retarget(temporal.address);
    },
    async stop() {
      stopping = true;
      await Promise.all(machines.map((machine) => machine.stop()));
      const left = await leftBehind(folder);
      await temporal.stop();
      if (!options.store) await s3.stop();
      for (const { log, s3Proxy, temporalProxy } of machines) {
        log.stop();
        await s3Proxy.stop();
        await temporalProxy.stop();
      }
      return left;
    },
  };
  for (const [name, kind] of options.machines ?? usualMachines)
    await addMachine(name, kind, options.machineOptions?.(name));
  return cluster;
}

export async function removeCluster({ folder }: Cluster): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

/** Processes whose environment names the cluster's folder and that do not end by themselves within ten seconds. */
async function leftBehind(folder: string): Promise<string[]> {
  let found: string[] = [];
  for (const until = Date.now() + 10_000; Date.now() < until; await sleep(250)) {
    found = await processesOf(folder);
    if (found.length === 0) return [];
  }
  return found;
}

async function processesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const read = (file: string): Promise<string> => readFile(join('/proc', name, file), 'utf8').catch(() => '');
    const status = await read('stat');
    if (status === '' || / Z /.test(status.slice(status.lastIndexOf(')')))) continue;
    const environment = await read('environ');
    if (environment.includes(`DURABILITY_CLUSTER=${folder}`))
      found.push(`${name} ${(await read('cmdline')).replaceAll('\0', ' ')}`);
  }
  return found;
}
