/** Which computations were done again, and on account of which fault, from the workers' ledgers. */
import type { Injected } from './faults.ts';
import type { LedgerLine } from './logFollower.ts';

export interface Redone {
  stage: string;
  key: string;
  /** Of `injected`; undefined: without any fault. */
  fault: Injected | undefined;
  /** What the promise allows: it was unfinished, and a fault came in between. */
  allowed: boolean;
  why: string;
  /** Where and when, both times. */
  when: string;
}

export function attributeRedone(ledger: readonly LedgerLine[], injected: readonly Injected[]): Redone[] {
  const redone: Redone[] = [];
  const begun = new Map<string, LedgerLine>();
  for (const line of ledger) {
    if (line.msg !== 'computes') continue;
    const before = begun.get(line.key);
    begun.set(line.key, line);
    if (!before) continue;
    const finished = ledger.some(
      ({ msg, key, cached, time }) => msg === 'has' && key === line.key && cached === false && time < line.time,
    );
    const fault = faultBetween(before, line, injected);
    const why = finished ? 'it was finished' : fault ? `unfinished at "${fault.fault}"` : 'no fault came in between';
    const when = [before, line]
      .map(({ attempt, machine, time }) => `attempt ${attempt} by ${machine} at ${time}`)
      .join(', ');
    redone.push({ stage: line.stage, key: line.key, fault, allowed: !finished && fault !== undefined, why, when });
  }
  for (const fault of injected) {
    // While it lasts (a full disk) one shard may be begun several times.
    const keys = [...new Set(redone.filter((each) => each.fault === fault).map(({ key }) => key))];
    const beyond = keys.slice(mostAtWork(fault));
    for (const each of redone.filter((one) => one.fault === fault && beyond.includes(one.key)))
      Object.assign(each, { allowed: false, why: `more than was at work at "${fault.fault}"` });
  }
  return redone;
}

/** What can have been at work where a fault struck: one shard a gpu worker, four a judge worker. */
function mostAtWork({ fault, machine, pids }: Injected): number {
  if (pids.length === 0) return 2 + 4;
  if (pids.length > 1) return pids.length + 3;
  return fault.includes('judge') || machine.includes('judge') ? 4 : 1;
}

/** The one that hit the worker of the first computation, else one that hit all; it must not have been over when that began. */
function faultBetween(before: LedgerLine, again: LedgerLine, injected: readonly Injected[]): Injected | undefined {
  const possible = injected.filter(({ at, until }) => until >= before.time && at <= again.time);
  return possible.find(({ pids }) => pids.includes(before.pid)) ?? possible.find(({ pids }) => pids.length === 0);
}
