/** `npm run test:durability`: real training runs whose processes and connections are harmed at seeded moments, each compared with an undisturbed run. */
import { rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pLimit from 'p-limit';
import { findS3Server } from '../servers/s3Server.ts';
import { chaosRun, harmedRun, isWrong, undisturbedRun, type ChaosOutcome } from './chaosRun.ts';
import { courseOf, possibleScenarios, type Scenario } from './scenarios.ts';
import { shortForm } from './schedule.ts';
import { printTable, totals } from './table.ts';
import { writeConfiguration } from './training.ts';

const usage = `npm run test:durability -- [options]

  --seed N        the first seed (1)
  --seeds N       so many seeds from there (10)
  --kills K       processes ended by SIGKILL or SIGTERM in each seed (6)
  --harms K       other faults in each seed (3)
  --out FILE      write {kills, lost, redoneShards, identical, hung, orphans, ...} as JSON
  --parallel N    runs at once (2)
  --no-scenarios  without lost databases and disks, two owners, clock jumps, a newer version
  --only NAME     of the scenarios this one alone
  --short         what npm test runs
  --keep          leave the logs of a run that went wrong

One seed again: --seed N --seeds 1 with the same --kills and --harms.`;

const { values } = parseArgs({
  allowNegative: true,
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string' },
    kills: { type: 'string', default: '6' },
    harms: { type: 'string', default: '3' },
    out: { type: 'string' },
    short: { type: 'boolean', default: false },
    scenarios: { type: 'boolean', default: true },
    parallel: { type: 'string', default: '2' },
    /** A scenario's name. */
    only: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}
const number = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`"${text}" is not a number of times`);
  return value;
};
const first = values.short ? shortForm.seed : number(values.seed);
const count = number(values.seeds ?? (values.short ? '1' : '10'));
const amounts = values.short ? shortForm.amounts : { kills: number(values.kills), harms: number(values.harms) };

// Servers are ended on the way out of the process.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => process.exit(130));

const s3 = await findS3Server();
if ('missing' in s3 || s3.kind === 'external') {
  console.log(
    `The durability test needs an S3 server that it may kill: ${'missing' in s3 ? s3.missing : 'the given one is not ours'}`,
  );
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), 'cada-durability-configuration-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const configurationFile = await writeConfiguration(folder);
const undisturbed = await undisturbedRun(s3, configurationFile);
console.log(
  `undisturbed: ${undisturbed.computations} computations, ${undisturbed.seconds.toFixed(0)} s, adapter ${undisturbed.fingerprint.adapter}`,
);

const outcomes: ChaosOutcome[] = [];
const options = {
  s3,
  configurationFile,
  undisturbed,
  say: (line: string) => console.log(`  ${line}`),
  keepLogs: values.keep,
};
// Much of a run under faults is waiting for timeouts: two runs take hardly longer than one.
const atOnce = pLimit(number(values.parallel));
const sayOf = (name: string) => (line: string) => console.log(`${name}: ${line}`);
const seeds = Array.from({ length: count }, (_, index) => first + index).map((seed) => async () => {
  const outcome = await chaosRun({ ...options, say: sayOf(`seed ${seed}`), seed, amounts });
  take(outcome, `--seed ${seed} --seeds 1 --kills ${amounts.kills} --harms ${amounts.harms}`);
});
const courses = (await scenarioGroups()).map((group) => async () => {
  const course = courseOf(group, undisturbed, configurationFile);
  const again = group.length === 1 ? `--seeds 0 --only "${course.name}"` : '--seeds 0 --short';
  take(await harmedRun({ ...options, say: sayOf(course.name) }, course), again);
});
await Promise.all([...seeds, ...courses].map((run) => atOnce(run)));
printTable(totals(outcomes));
process.exit(outcomes.some(isWrong) ? 1 : 0);

/** In the long form each by itself. */
async function scenarioGroups(): Promise<Scenario[][]> {
  const possible = values.scenarios ? await possibleScenarios(console.log) : [];
  const chosen = values.only ? possible.filter(({ name }) => name === values.only) : possible;
  return values.short ? [chosen] : chosen.map((scenario) => [scenario]);
}

function take(outcome: ChaosOutcome, again: string): void {
  const say = sayOf(outcome.name);
  outcomes.push(outcome);
  const { differing, lost, orphans, problems, redone, missed, ending } = outcome;
  for (const line of [...differing.slice(0, 8), ...lost.slice(0, 8), ...orphans, ...problems]) say(`WRONG ${line}`);
  for (const { stage, why, when, allowed } of redone)
    say(allowed ? `redone ${stage}: ${why}` : `WRONG redone ${stage}: ${why} (${when})`);
  for (const { fault, moment } of missed) say(`did not come: ${fault}, ${moment}`);
  const verdict = isWrong(outcome) ? `WRONG, again with ${again}` : 'identical';
  say(`${ending.state}${ending.cause ? `, ${ending.cause}` : ''} after ${ending.seconds.toFixed(0)} s: ${verdict}`);
  if (values.out) writeFileSync(values.out, `${JSON.stringify(totals(outcomes), null, 2)}\n`);
}
