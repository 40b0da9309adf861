/** What can be done to a cluster, one function a fault. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault as WireFault } from '../servers/faultyProxy.ts';
import { eventually } from '../servers/temporalServer.ts';
import type { Cluster, Machine } from './cluster.ts';
import { heartbeatTimeoutMs } from './heartbeat.ts';
import type { Come } from './moments.ts';
import type { Fault, PlannedFault } from './schedule.ts';
import { fillDisk } from './smallDisk.ts';

/** A fault that was brought in. */
export interface Injected {
  fault: string;
  moment: string;
  machine: string;
  /** Worker processes that it touched; none: any may have been. */
  pids: number[];
  at: string;
  until: string;
  /** Requests that were harmed, for faults on the way to S3. */
  harmed?: number;
}

/** Does it, undoes what lasts, and returns when the process or connection is back. */
export async function inject(planned: PlannedFault, { machine, held }: Come, cluster: Cluster): Promise<Injected> {
  const at = new Date().toISOString();
  const { fault, moment, lastsMs } = planned;
  const pid = machine.pid;
  const done = (pids: (number | undefined)[], harmed?: number): Injected => ({
    fault,
    moment,
    machine: machine.name,
    pids: pids.filter((each) => each !== undefined),
    at,
    until: new Date().toISOString(),
    ...(harmed === undefined ? {} : { harmed }),
  });

  if (/^SIG(KILL|TERM) .* worker$/.test(fault)) {
    signal(pid, fault.slice(0, 7) as NodeJS.Signals);
    held?.letGo('reset');
    await eventually(`${machine.name} is back`, () => machine.pid !== undefined && machine.pid !== pid, 60_000);
    return done([pid]);
  }
  if (/^SIGSTOP .* worker$/.test(fault)) {
    // Long enough that another worker owns what it had. Its engine goes on: it is another process.
    signal(pid, 'SIGSTOP');
    await sleep(heartbeatTimeoutMs + lastsMs);
    signal(pid, 'SIGCONT');
    held?.letGo('pass');
    return done([pid]);
  }
  switch (fault) {
    case 'SIGKILL engine':
      signal(await engineOf(machine), 'SIGKILL');
      held?.letGo('pass');
      return done([pid]);
    case 'SIGSTOP engine': {
      const engine = await engineOf(machine);
      signal(engine, 'SIGSTOP');
      await sleep(heartbeatTimeoutMs + lastsMs);
      signal(engine, 'SIGCONT');
      held?.letGo('pass');
      return done([pid]);
    }
    case 'SIGKILL Temporal server': {
      const server = cluster.temporal.pid;
      signal(server, 'SIGKILL');
      held?.letGo('pass');
      await eventually('the Temporal server is back', () => cluster.temporal.pid !== server, 60_000);
      return done([]);
    }
    case 'SIGKILL S3 server':
      await cluster.s3.kill();
      held?.letGo('pass');
      await sleep(lastsMs / 2);
      await cluster.s3.restart();
      return done([]);
    case 'SIGSTOP Temporal server':
    case 'SIGSTOP S3 server': {
      const server = fault.includes('S3') ? cluster.s3.pid() : cluster.temporal.pid;
      signal(server, 'SIGSTOP');
      held?.letGo('pass');
      await sleep(2 * lastsMs);
      signal(server, 'SIGCONT');
      return done([]);
    }
    case 'disk full': {
      const small = cluster.machine(machineOnSmallDisk);
      const free = await fillDisk(small.home);
      held?.letGo('pass');
      await sleep(lastsMs);
      await free();
      return { ...done([small.pid]), machine: small.name };
    }
    default:
      held?.letGo('pass');
      return done([pid], await onTheWire(fault, machine, lastsMs, cluster));
  }
}

async function onTheWire(
  fault: Fault,
  machine: Machine,
  lastsMs: number,
  cluster: Cluster,
): Promise<number | undefined> {
  const { temporalProxy } = machine;
  switch (fault) {
    case 'Temporal: cut':
      temporalProxy.refuse(true);
      temporalProxy.cut();
      await sleep(lastsMs / 2);
      temporalProxy.refuse(false);
      return undefined;
    case 'Temporal: delay':
      temporalProxy.delay(400);
      await sleep(2 * lastsMs);
      temporalProxy.delay(0);
      return undefined;
    case 'Temporal: no answer':
      // Longer than a heartbeat timeout: the worker goes on, and another one is given its shard.
      temporalProxy.freeze(true);
      await sleep(heartbeatTimeoutMs + lastsMs);
      temporalProxy.freeze(false);
      return undefined;
    case 'Temporal: 1 KB/s':
      temporalProxy.slow(1024);
      await sleep(2 * lastsMs);
      temporalProxy.slow(0);
      return undefined;
    default: {
      // What reads the listing is at the end of the run; a worker that has nothing to send just now gets some time.
      const wireFault = wireFaults[fault]!;
      cluster.wire.harm(machine.name, wireFault(cluster, machine.name));
      const enough = fault === 'S3: stale listing' ? 10_000 : lastsMs;
      await sleep(enough);
      for (const until = Date.now() + 15_000; Date.now() < until && cluster.wire.harmed(machine.name) === 0;)
        await sleep(50);
      const harmed = cluster.wire.harmed(machine.name);
      cluster.wire.harm(machine.name, undefined);
      return harmed;
    }
  }
}

type OnWire = (cluster: Cluster, machine: string) => (request: { method: string; key: string }) => WireFault;

/** The fault as long as it is on, at most `most` times. */
const some =
  (fault: WireFault, fits: (request: { method: string; key: string }) => boolean, most = Infinity): OnWire =>
  (cluster, machine) =>
  (request) =>
    fits(request) && cluster.wire.harmed(machine) < most ? fault : 'none';

const everything = (): boolean => true;
const reading = ({ method, key }: { method: string; key: string }): boolean =>
  method === 'GET' && key.startsWith('objects/');

const wireFaults: Partial<Record<Fault, OnWire>> = {
  'S3: 500': some({ status: 500, code: 'InternalError' }, everything),
  'S3: 503 SlowDown': some({ status: 503, code: 'SlowDown' }, everything),
  'S3: reset': some('reset', everything),
  'S3: no answer': some('noAnswer', everything, 1),
  'S3: truncated body': some({ cutAfterBytes: 1 }, reading, 4),
  'S3: wrong bytes': some('flipBit', reading, 2),
  'S3: wrong bytes sent': some(
    'flipSentBit',
    ({ method, key }) => method === 'PUT' && /^(objects|steps)\//.test(key),
    2,
  ),
  'S3: 1 KB/s': some({ bytesPerSecond: 1024 }, everything, 3),
  'S3: stale listing': some('staleListing', ({ method, key }) => method === 'GET' && key === ''),
};

/** It is started by the first call to it. */
async function engineOf(machine: Machine): Promise<number> {
  let pid: number | undefined;
  await eventually(`${machine.name} has an engine`, async () => (pid = await machine.engine()) !== undefined, 10_000);
  return pid!;
}

export function signal(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, name);
  } catch (error) {
    // It has just ended by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The one whose `CADA_HOME` lies on a small file system of its own. */
export const machineOnSmallDisk = 'gpu-1';
