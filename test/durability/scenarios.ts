/** Losses and coincidences, each a named case: what is lost or doubled, and at which point of the run. */
import { access, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../servers/temporalServer.ts';
import { untilComputed, type Course, type Undisturbed } from './chaosRun.ts';
import type { Cluster, MachineOptions } from './cluster.ts';
import { signal as send, type Injected } from './faults.ts';
import { momentOf } from './moments.ts';
import { ledgerOf, startRun } from './training.ts';

export interface Scenario {
  name: string;
  /** Why it can't be done here. */
  missing?: () => Promise<string | undefined>;
  machineOptions?: (machine: string) => MachineOptions;
  start?: Course['start'];
  /** It goes on to the end of the run. */
  lasts?: boolean;
  /** At its point of the run. Answers with the worker processes that lost work by it. */
  act: (at: Scene) => Promise<number[]>;
}

interface Scene {
  cluster: Cluster;
  configurationFile: string;
  signal: AbortSignal;
}

const fakeTimeLibrary = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

export const scenarios: Scenario[] = [
  {
    name: 'two cada train at once',
    start: async (cluster, configurationFile) => {
      const [one, other] = await Promise.all([
        startRun(cluster, configurationFile),
        startRun(cluster, configurationFile),
      ]);
      if (one !== other) throw new Error(`two runs were started: ${one} and ${other}`);
      return one;
    },
    act: () => Promise.resolve([]),
  },
  {
    name: 'two owners of a shard',
    act: async ({ cluster, signal }) => {
      // Stopped in its work, until the other gpu worker has begun the same; then both go on.
      const planned = {
        fault: 'SIGSTOP gpu worker',
        moment: 'mid-generation',
        after: 0,
        delayMs: 0,
        lastsMs: 0,
        pick: 0,
      } as const;
      for (;;) {
        const { machine } = await momentOf(planned, cluster, signal);
        const pid = machine.pid!;
        const engine = await machine.engine();
        send(pid, 'SIGSTOP');
        send(engine, 'SIGSTOP');
        const shard = ledgerOf(cluster).findLast((line) => line.pid === pid)!;
        if (shard.msg === 'computes') {
          const doubled = (): boolean =>
            ledgerOf(cluster).some((line) => line.msg === 'computes' && line.key === shard.key && line.pid !== pid);
          // Half a minute until it is missed; a minute was seen, with libfaketime.
          await eventually('another worker has the shard', doubled, 150_000);
          send(engine, 'SIGCONT');
          send(pid, 'SIGCONT');
          // The first owner finishes too, or leaves what it has lost.
          await eventually(
            'one of its owners has finished it',
            () => ledgerOf(cluster).some((line) => line.msg === 'has' && line.key === shard.key),
            60_000,
          );
          return [pid];
        }
        send(engine, 'SIGCONT');
        send(pid, 'SIGCONT');
      }
    },
  },
  {
    name: 'clock jumps',
    missing: () =>
      access(fakeTimeLibrary).then(
        () => undefined,
        () => `${fakeTimeLibrary} is not there (Debian: apt-get install libfaketime)`,
      ),
    machineOptions: () => ({ fakeTime: fakeTimeLibrary }),
    // The clocks stay ten minutes ahead, and what a worker times by them comes late or early.
    lasts: true,
    act: async ({ cluster }) => {
      for (const [name, offset] of [
        ['gpu-1', '+3h'],
        ['control', '-2h'],
        ['gpu-2', '-400d'],
        ['judge', '+1d'],
      ] as const)
        await cluster.machine(name).setClock(offset);
      await sleep(3_000);
      for (const { setClock } of cluster.machines) await setClock('+10m');
      return [];
    },
  },
  {
    name: 'newer version joins',
    act: async ({ cluster }) => {
      const sources = await newerVersion(join(cluster.folder, 'newer'));
      for (const [name, kind] of [
        ['control-2', 'control'],
        ['gpu-3', 'gpu'],
      ] as const) {
        const { log } = await cluster.addMachine(name, kind, { sources });
        await eventually(`${name} is ready`, () => log.ready > 0, 60_000);
      }
      await sleep(2_000);
      // The old ones go as in a rolling upgrade: drained.
      const leaving = ['control', 'gpu-1'].map((name) => cluster.machine(name));
      const pids = leaving.flatMap(({ pid }) => pid ?? []);
      await Promise.all(leaving.map((machine) => machine.stop()));
      return pids;
    },
  },
  {
    name: 'Temporal database lost',
    act: async ({ cluster, configurationFile }) => {
      await cluster.loseTemporalDatabase();
      await startRun(cluster, configurationFile, ['--resume']);
      return [];
    },
  },
  {
    name: 'all disks lost but S3',
    act: async ({ cluster, configurationFile }) => {
      const names = cluster.machines.filter(({ keep }) => keep).map(({ name, kind }) => [name, kind] as const);
      const pids = cluster.machines.flatMap(({ pid }) => pid ?? []);
      for (const machine of cluster.machines) machine.keep = false;
      for (const pid of pids) send(pid, 'SIGKILL');
      for (const machine of cluster.machines) {
        await machine.stop();
        await rm(machine.home, { recursive: true, force: true });
      }
      await rm(join(cluster.folder, 'laptop'), { recursive: true, force: true });
      await cluster.loseTemporalDatabase();
      for (const [name, kind] of names) await cluster.addMachine(`${name}-new`, kind);
      await startRun(cluster, configurationFile, ['--resume']);
      return [];
    },
  },
];

/** Those that can be done here; what can't is said. */
export async function possibleScenarios(say: (line: string) => void): Promise<Scenario[]> {
  const possible: Scenario[] = [];
  for (const scenario of scenarios) {
    const missing = await scenario.missing?.();
    if (missing) say(`${scenario.name}: left out, ${missing}`);
    else possible.push(scenario);
  }
  return possible;
}

/** Later than any moment of a run; times are compared as text. */
const endOfTime = '9999-12-31T23:59:59.999Z';

/** Runs some of them in one training run, one after the other, at equal distances. */
export function courseOf(chosen: readonly Scenario[], undisturbed: Undisturbed, configurationFile: string): Course {
  const start = chosen.find((scenario) => scenario.start)?.start;
  const { machineOptions } = chosen.find((scenario) => scenario.machineOptions) ?? {};
  return {
    name: chosen.map(({ name }) => name).join(', '),
    ...(start ? { start } : {}),
    ...(machineOptions ? { machineOptions } : {}),
    act: async (cluster, outcome, signal) => {
      for (const [index, scenario] of chosen.entries()) {
        const share = (index + 1) / (chosen.length + 1);
        await untilComputed(cluster, Math.floor(0.9 * share * undisturbed.computations), signal);
        const at = new Date().toISOString();
        const pids = await scenario.act({ cluster, configurationFile, signal });
        const injected: Injected = {
          fault: scenario.name,
          moment: `after ${Math.round(share * 90)} %`,
          machine: 'all',
          pids,
          at,
          until: scenario.lasts ? endOfTime : new Date().toISOString(),
        };
        outcome.injected.push(injected);
      }
    },
  };
}

/** A copy of the sources with another version number and code that is not the same, but means the same. */
async function newerVersion(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const name of [
    'activities',
    'alignment',
    'engine',
    'infra',
    'workers',
    'workflows',
    'test/durability',
    'package.json',
    'tsconfig.json',
  ])
    await cp(resolve(name), join(folder, name), { recursive: true });
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  const file = join(folder, 'package.json');
  const description = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...description, version: '99.0.0' }));
  const workflow = join(folder, 'workflows', 'alignPolicy.ts');
  await writeFile(workflow, `${await readFile(workflow, 'utf8')}\nexport const versionOfThisBuild = '99.0.0';\n`);
  return folder;
}
