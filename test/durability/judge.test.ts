/** What judges the durability runs, on made-up runs: a schedule that can be had again, and differences, losses and needless work that are seen. */
import { expect, test } from 'vitest';
import type { ChaosOutcome } from './chaosRun.ts';
import type { Injected } from './faults.ts';
import { differences, type Fingerprint } from './fingerprint.ts';
import type { LedgerLine } from './logFollower.ts';
import { attributeRedone } from './redone.ts';
import { harms, kills, schedule, shortForm } from './schedule.ts';
import { totals } from './table.ts';

test('a seed brings the same faults at the same moments each time, another seed others', () => {
  const { amounts } = shortForm;
  expect(schedule(7, amounts)).toEqual(schedule(7, amounts));
  expect(schedule(8, amounts)).not.toEqual(schedule(7, amounts));
  const shares = schedule(7, amounts).map(({ after }) => after);
  expect(shares).toEqual(shares.toSorted((a, b) => a - b));
});

test('ten seeds of the long form end 60 processes and bring every kind of fault; one that the machine can not do is left out', () => {
  const all = Array.from({ length: 10 }, (_, index) => schedule(index + 1, { kills: 6, harms: 3 })).flat();
  const counts = Map.groupBy(all, ({ fault }) => fault);
  expect([...counts.keys()].sort()).toEqual([...kills, ...harms].sort());
  expect(kills.reduce((sum, fault) => sum + counts.get(fault)!.length, 0)).toBe(60);
  const moments = new Set(all.map(({ moment }) => moment));
  for (const wanted of ['mid-generation', 'mid-gradient', 'upload to manifest', 'manifest to completion', 'mid-export'])
    expect([...moments]).toContain(wanted);
  expect([...moments]).toContain('continue-as-new');
  const without = schedule(3, { kills: 0, harms: harms.length }, ['disk full']);
  expect(without.map(({ fault }) => fault)).not.toContain('disk full');
});

const at = (second: number): string => new Date(Date.UTC(2030, 0, 1, 0, 0, second)).toISOString();
const line = (second: number, msg: 'computes' | 'has', key: string, pid: number): LedgerLine =>
  ({
    ...{ time: at(second), msg, key, pid, stage: 'generateChains', attempt: 1, machine: 'gpu-1' },
    ...(msg === 'has' ? { cached: false } : {}),
  }) as LedgerLine;
const kill = (second: number, pid: number): Injected => ({
  ...{ fault: 'SIGKILL gpu worker', moment: 'mid-generation', machine: 'gpu-1', pids: [pid] },
  ...{ at: at(second), until: at(second + 1) },
});

test('a shard that a kill left unfinished may be computed again, and no other', () => {
  const redone = (ledger: LedgerLine[], injected: Injected[]) =>
    attributeRedone(ledger, injected).map(({ key, allowed, why }) => [key, allowed, why]);
  const [first, again] = [line(1, 'computes', 'a', 10), line(5, 'computes', 'a', 11)];
  expect(redone([first, line(4, 'has', 'a', 10)], [kill(3, 10)])).toEqual([]);
  expect(redone([first, again], [kill(3, 10)])).toEqual([['a', true, 'unfinished at "SIGKILL gpu worker"']]);
  expect(redone([first, again], [])).toEqual([['a', false, 'no fault came in between']]);
  // Another worker was killed, or this one before it began.
  expect(redone([first, again], [kill(3, 99)])).toEqual([['a', false, 'no fault came in between']]);
  expect(redone([line(3, 'computes', 'a', 10), again], [kill(0, 10)])).toEqual([
    ['a', false, 'no fault came in between'],
  ]);
  expect(redone([first, line(2, 'has', 'a', 10), again], [kill(3, 10)])).toEqual([['a', false, 'it was finished']]);
  // A gpu worker has one shard at work.
  const two = [first, line(2, 'computes', 'b', 10), again, line(6, 'computes', 'b', 11)];
  expect(redone(two, [kill(3, 10)])).toEqual([
    ['a', true, 'unfinished at "SIGKILL gpu worker"'],
    ['b', false, 'more than was at work at "SIGKILL gpu worker"'],
  ]);
});

const fingerprint: Fingerprint = {
  adapter: 'a1',
  digests: { 'iteration 1: chains': 'c1' },
  figures: { 'iteration 1: reward': 0.25 },
  report: 'reward 0.25',
};

test('another bit in adapter, artifact, figure or report is a difference, and so is one that is absent', () => {
  const against = (changes: Partial<Fingerprint>) => differences(fingerprint, { ...fingerprint, ...changes });
  expect(against({})).toEqual([]);
  expect(against({ adapter: 'a2' })).toEqual(['adapter: a1 / a2']);
  expect(against({ digests: { 'iteration 1: chains': 'c2' } })).toEqual(['iteration 1: chains: c1 / c2']);
  expect(against({ digests: {} })).toEqual(['iteration 1: chains: c1 / absent']);
  expect(against({ figures: { ...fingerprint.figures, 'iteration 2: reward': 1 } })).toEqual([
    'iteration 2: reward: absent / 1',
  ]);
  expect(against({ report: 'reward 0.26' })).toHaveLength(1);
});

test('the totals tell what was lost, hung, left over or computed needlessly', () => {
  const run: ChaosOutcome = {
    ...{ name: 'seed 1', ending: { state: 'done', seconds: 9 }, injected: [kill(3, 10)], missed: [] },
    ...{ differing: [], lost: [], redone: [], orphans: [], problems: [] },
  };
  const redone = attributeRedone([line(1, 'computes', 'a', 10), line(5, 'computes', 'a', 11)], run.injected);
  const faultless = { runs: 1, kills: 1, faults: 1, lost: 0, redoneShards: 1, identical: 1, hung: 0, orphans: 0 };
  expect(totals([{ ...run, redone }])).toMatchObject({ ...faultless, redoneWrongly: 0, wrong: [] });
  const harmed = totals([
    { ...run, name: 'hung', ending: { state: 'hung', seconds: 1800 } },
    { ...run, name: 'differs', differing: ['adapter: a1 / a2'] },
    { ...run, name: 'loses', lost: ['chains c1 missing'], orphans: ['gpu worker 10'] },
    { ...run, name: 'repeats', redone: redone.map((one) => ({ ...one, allowed: false })) },
  ]);
  expect(harmed).toMatchObject({ runs: 4, lost: 1, identical: 2, hung: 1, orphans: 1, redoneWrongly: 1 });
  expect(harmed.wrong.map((one) => one.run)).toEqual(['hung', 'differs', 'loses', 'repeats']);
  expect(harmed.table).toMatchObject([{ fault: 'SIGKILL gpu worker', times: 4, lost: 1, redone: 1, identical: false }]);
});
