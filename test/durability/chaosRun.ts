/** A run that is harmed while it is at work, by the faults of a seed or by a scenario, and what it came to. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { S3ServerChoice } from '../servers/s3Server.ts';
import { removeCluster, startCluster, type Cluster, type MachineOptions } from './cluster.ts';
import { inject, machineOnSmallDisk, type Injected } from './faults.ts';
import { differences, readOutcome, type Fingerprint } from './fingerprint.ts';
import { momentOf, type Come } from './moments.ts';
import { attributeRedone, type Redone } from './redone.ts';
import { describeFault, kills, schedule, type Amounts, type Fault, type PlannedFault } from './schedule.ts';
import { smallDisk } from './smallDisk.ts';
import { ledgerOf, startRun, untilEnded, type Ending } from './training.ts';

export interface ChaosOutcome {
  /** "seed 3", or the scenario's. */
  name: string;
  ending: Ending;
  injected: Injected[];
  /** Faults whose moment did not come before the run ended, or that met no request. */
  missed: PlannedFault[];
  /** Differences from the undisturbed run; empty = identical. */
  differing: string[];
  /** What `cada verify` finds damaged, and steps that are not there. */
  lost: string[];
  redone: Redone[];
  orphans: string[];
  /** Where the driver itself failed: a server that did not come back. */
  problems: string[];
}

export interface Undisturbed {
  fingerprint: Fingerprint;
  steps: number;
  /** Computations of the whole run. */
  computations: number;
  seconds: number;
}

export async function undisturbedRun(s3: S3ServerChoice, configurationFile: string): Promise<Undisturbed> {
  const cluster = await startCluster({ s3 });
  try {
    const runId = await startRun(cluster, configurationFile);
    const ending = await untilEnded(cluster, runId, 900_000);
    if (ending.state !== 'done') throw new Error(`the undisturbed run is ${ending.state}: ${ending.cause}`);
    const { fingerprint, damages, steps } = await readOutcome(cluster.store, runId);
    if (damages.length > 0) throw new Error(`the undisturbed run left damage: ${damages.join('; ')}`);
    const computations = ledgerOf(cluster).filter(({ msg }) => msg === 'computes').length;
    return { fingerprint, steps, computations, seconds: ending.seconds };
  } finally {
    await cluster.stop();
    await removeCluster(cluster);
  }
}

export interface HarmedRunOptions {
  s3: S3ServerChoice;
  configurationFile: string;
  undisturbed: Undisturbed;
  say: (line: string) => void;
  /** Leave the cluster's folder, with all logs, where something was wrong. */
  keepLogs?: boolean;
}

export interface Course {
  /** What the run is called in reports. */
  name: string;
  machineOptions?: (machine: string) => MachineOptions;
  /** @default one `cada train --detach` */
  start?: (cluster: Cluster, configurationFile: string) => Promise<string>;
  /** Harms the run while it is at work; what it did goes into `outcome`. The signal is aborted when the run has ended. */
  act: (cluster: Cluster, outcome: ChaosOutcome, signal: AbortSignal) => Promise<void>;
}

/** The faults of a seed. */
export async function chaosRun(options: HarmedRunOptions & { seed: number; amounts: Amounts }): Promise<ChaosOutcome> {
  const { seed, amounts, undisturbed, say } = options;
  const disk = await smallDisk();
  const without: Fault[] = 'missing' in disk ? ['disk full'] : [];
  if ('missing' in disk) say(`a full disk is left out: ${disk.missing}`);
  const planned = schedule(seed, amounts, without);
  for (const fault of planned) say(`planned: ${describeFault(fault)}`);
  // A full disk is one machine's.
  const onDisk = 'missing' in disk ? undefined : disk.folder;
  try {
    return await harmedRun(options, {
      name: `seed ${seed}`,
      machineOptions: (name) => (name === machineOnSmallDisk && onDisk ? { home: onDisk } : {}),
      act: (cluster, outcome, signal) => drive(planned, cluster, undisturbed.computations, signal, outcome, say),
    });
  } finally {
    if (!('missing' in disk)) await disk.remove();
  }
}

export async function harmedRun(options: HarmedRunOptions, course: Course): Promise<ChaosOutcome> {
  const { undisturbed, say } = options;
  const cluster = await startCluster({
    s3: options.s3,
    ...(course.machineOptions ? { machineOptions: course.machineOptions } : {}),
  });
  const over = new AbortController();
  const outcome: ChaosOutcome = {
    name: course.name,
    ending: { state: 'hung', seconds: 0 },
    injected: [],
    missed: [],
    differing: [],
    lost: [],
    redone: [],
    orphans: [],
    problems: [],
  };
  try {
    const runId = await (course.start ?? startRun)(cluster, options.configurationFile);
    const acting = course.act(cluster, outcome, over.signal).catch((error: unknown) => {
      if (!over.signal.aborted) outcome.problems.push(error instanceof Error ? (error.stack ?? '') : String(error));
    });
    outcome.ending = await untilEnded(cluster, runId);
    over.abort(new Error('the run has ended'));
    await acting;
    await judge(cluster, runId, outcome, undisturbed);
  } finally {
    over.abort(new Error('the run has ended'));
    outcome.orphans = await cluster.stop();
    if (options.keepLogs && isWrong(outcome)) say(`logs: ${cluster.folder}`);
    else await removeCluster(cluster);
  }
  return outcome;
}

export function isWrong({ ending, differing, lost, redone, orphans, problems }: ChaosOutcome): boolean {
  return (
    ending.state !== 'done' ||
    [differing, lost, orphans, problems, redone.filter(({ allowed }) => !allowed)].some((list) => list.length > 0)
  );
}

/** Arms one fault after the other; each is over, and work has gone on, before the next. */
async function drive(
  planned: PlannedFault[],
  cluster: Cluster,
  computations: number,
  signal: AbortSignal,
  outcome: ChaosOutcome,
  say: (line: string) => void,
): Promise<void> {
  for (const fault of planned) {
    try {
      await untilComputed(cluster, Math.floor(fault.after * computations), signal);
      const come = await soonEnough(fault, cluster, computations, signal);
      const injected = await inject(fault, come, cluster);
      if (injected.harmed === 0) {
        outcome.missed.push(fault);
        continue;
      }
      outcome.injected.push(injected);
      say(
        `${injected.at.slice(11, 23)} ${fault.fault} at ${injected.machine}, ${fault.moment}${injected.harmed === undefined ? '' : `, ${injected.harmed} requests`}`,
      );
      await untilWorkGoesOn(cluster, signal).catch(() => undefined);
    } catch (error) {
      if (signal.aborted || hasPassed(error)) outcome.missed.push(fault);
      else outcome.problems.push(`${fault.fault}, ${fault.moment}: ${(error as Error).message}`);
    }
  }
}

class MomentPassedError extends Error {
  override readonly name = 'MomentPassedError';
}

/** A timer wraps the reason for which it was ended. */
const hasPassed = (error: unknown): boolean =>
  error instanceof MomentPassedError || (error as Error).cause instanceof MomentPassedError;

/** A moment that does not come while a quarter of the work is done is given up, for the sake of the faults that wait behind it. */
async function soonEnough(
  fault: PlannedFault,
  cluster: Cluster,
  computations: number,
  signal: AbortSignal,
): Promise<Come> {
  const giveUp = new AbortController();
  const either = AbortSignal.any([signal, giveUp.signal]);
  const passed = untilComputed(cluster, Math.floor((fault.after + 0.25) * computations), either).then(
    () => giveUp.abort(new MomentPassedError(fault.moment)),
    () => undefined,
  );
  try {
    return await momentOf(fault, cluster, either);
  } finally {
    giveUp.abort();
    await passed;
  }
}

/** Distinct steps: what is computed again does not count. */
export async function untilComputed(cluster: Cluster, steps: number, signal: AbortSignal): Promise<void> {
  const begun = (): number => new Set(ledgerOf(cluster).map(({ key }) => key)).size;
  while (begun() < steps) await sleep(20, undefined, { signal });
}

/** The next fault waits until something has been finished after this one, but not for long: faults may meet. */
async function untilWorkGoesOn(cluster: Cluster, signal: AbortSignal): Promise<void> {
  const lines = ledgerOf(cluster).length;
  for (const until = Date.now() + 20_000; Date.now() < until; await sleep(50, undefined, { signal })) {
    if (ledgerOf(cluster).length > lines) return;
  }
}

async function judge(cluster: Cluster, runId: string, outcome: ChaosOutcome, undisturbed: Undisturbed): Promise<void> {
  outcome.redone = attributeRedone(ledgerOf(cluster), outcome.injected);
  if (outcome.ending.state !== 'done') return;
  const { fingerprint, damages, steps } = await readOutcome(cluster.store, runId);
  outcome.differing = differences(undisturbed.fingerprint, fingerprint);
  outcome.lost = [
    ...damages,
    ...(steps < undisturbed.steps ? [`${undisturbed.steps - steps} steps are not in the store`] : []),
  ];
}

export const isKill = ({ fault }: Injected): boolean => (kills as readonly string[]).includes(fault);
