/** What many runs came to: totals, and the table by fault. */
import Table from 'cli-table3';
import { isKill, isWrong, type ChaosOutcome } from './chaosRun.ts';

export interface Totals {
  /** Whole runs: seeds and scenarios. */
  runs: number;
  /** Processes ended by SIGKILL or SIGTERM. */
  kills: number;
  /** Those, and everything else that was done. */
  faults: number;
  lost: number;
  redoneShards: number;
  /** Runs that came out bit for bit as the undisturbed one; must be `runs`. */
  identical: number;
  hung: number;
  orphans: number;
  /** Computations again that the promise does not allow. */
  redoneWrongly: number;
  table: { fault: string; times: number; lost: number; redone: number; mostRedone: number; identical: boolean }[];
  wrong: {
    run: string;
    state: string;
    differing: string[];
    lost: string[];
    orphans: string[];
    problems: string[];
    redone: string[];
  }[];
}

export function totals(outcomes: readonly ChaosOutcome[]): Totals {
  const injected = outcomes.flatMap((outcome) => outcome.injected.map((fault) => ({ fault, outcome })));
  const redone = outcomes.flatMap((outcome) => outcome.redone);
  const names = [...new Set(injected.map(({ fault }) => fault.fault))].sort();
  return {
    runs: outcomes.length,
    kills: injected.filter(({ fault }) => isKill(fault)).length,
    faults: injected.length,
    lost: sum(outcomes, ({ lost }) => lost.length),
    redoneShards: redone.length,
    identical: outcomes.filter(({ ending, differing }) => ending.state === 'done' && differing.length === 0).length,
    hung: outcomes.filter(({ ending }) => ending.state !== 'done').length,
    orphans: sum(outcomes, ({ orphans }) => orphans.length),
    redoneWrongly: redone.filter(({ allowed }) => !allowed).length,
    table: names.map((name) => {
      const of = injected.filter(({ fault }) => fault.fault === name);
      const counts = of.map(({ fault, outcome }) => outcome.redone.filter((each) => each.fault === fault).length);
      const runs = new Set(of.map(({ outcome }) => outcome));
      return {
        fault: name,
        times: of.length,
        // What is lost can't be told by fault: of the runs that had it.
        lost: sum([...runs], ({ lost }) => lost.length),
        redone: sum(counts, (count) => count),
        mostRedone: Math.max(0, ...counts),
        identical: [...runs].every(({ ending, differing }) => ending.state === 'done' && differing.length === 0),
      };
    }),
    wrong: outcomes.filter(isWrong).map(({ name, ending, differing, lost, orphans, problems, redone }) => ({
      run: name,
      state: ending.cause ? `${ending.state}: ${ending.cause}` : ending.state,
      differing: differing.slice(0, 20),
      lost: lost.slice(0, 20),
      orphans,
      problems,
      redone: redone.filter(({ allowed }) => !allowed).map(({ stage, why }) => `${stage}: ${why}`),
    })),
  };
}

export function printTable(of: Totals): void {
  const table = new Table({
    head: ['fault', 'times', 'lost', 'redone', 'most by one', 'identical'],
    style: { head: [] },
  });
  for (const row of of.table)
    table.push([row.fault, row.times, row.lost, row.redone, row.mostRedone, row.identical ? 'yes' : 'NO']);
  console.log(`\n${table.toString()}`);
  const { runs, kills, faults, lost, redoneShards, identical, hung, orphans } = of;
  console.log(JSON.stringify({ runs, kills, faults, lost, redoneShards, identical, hung, orphans }));
}

function sum<T>(list: readonly T[], of: (item: T) => number): number {
  return list.reduce((total, item) => total + of(item), 0);
}
