/**
 * `npm run test:durability`: real training runs whose processes and connections are harmed at seeded moments, each compared with an undisturbed run.
 *
 *     npm run test:durability -- --seed 3 --seeds 10 --kills 6 --harms 3 --out FILE
 */
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findS3Server } from '../servers/s3Server.ts';
import { chaosRun, isWrong, undisturbedRun, type ChaosOutcome } from './chaosRun.ts';
import { printTable, totals } from './table.ts';
import { writeConfiguration } from './training.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '10' },
    kills: { type: 'string', default: '6' },
    harms: { type: 'string', default: '3' },
    out: { type: 'string' },
    short: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
});
const number = (text: string): number => {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`"${text}" is not a number of times`);
  return value;
};
const first = number(values.seed);
const count = values.short ? 1 : number(values.seeds);
const amounts = { kills: number(values.kills), harms: number(values.harms) };

const s3 = await findS3Server();
if ('missing' in s3 || s3.kind === 'external') {
  console.log(
    `The durability test needs an S3 server that it may kill: ${'missing' in s3 ? s3.missing : 'the given one is not ours'}`,
  );
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), 'cada-durability-configuration-'));
process.once('exit', () => undefined);
const configurationFile = await writeConfiguration(folder);
const undisturbed = await undisturbedRun(s3, configurationFile);
console.log(
  `undisturbed: ${undisturbed.computations} computations, ${undisturbed.seconds.toFixed(0)} s, adapter ${undisturbed.fingerprint.adapter}`,
);

const outcomes: ChaosOutcome[] = [];
for (let seed = first; seed < first + count; seed++) {
  console.log(`\nseed ${seed}`);
  const say = (line: string): void => console.log(`  ${line}`);
  const outcome = await chaosRun({ seed, amounts, s3, configurationFile, undisturbed, say, keepLogs: values.keep });
  outcomes.push(outcome);
  for (const line of [
    ...outcome.differing.slice(0, 8),
    ...outcome.lost.slice(0, 8),
    ...outcome.orphans,
    ...outcome.problems,
  ])
    say(`WRONG ${line}`);
  for (const { stage, why, allowed } of outcome.redone) say(`${allowed ? '' : 'WRONG '}redone ${stage}: ${why}`);
  for (const { fault, moment } of outcome.missed) say(`did not come: ${fault}, ${moment}`);
  const { state, seconds, cause } = outcome.ending;
  say(
    `${state}${cause ? `, ${cause}` : ''} after ${seconds.toFixed(0)} s: ${isWrong(outcome) ? `WRONG, again with --seed ${seed} --seeds 1 --kills ${amounts.kills} --harms ${amounts.harms}` : 'identical'}`,
  );
  if (values.out) writeFileSync(values.out, `${JSON.stringify(totals(outcomes), null, 2)}\n`);
}
await rm(folder, { recursive: true, force: true });
printTable(totals(outcomes));
process.exit(outcomes.some(isWrong) ? 1 : 0);
