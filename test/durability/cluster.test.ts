/**
 * The short form of `npm run test:durability`: one run on a cluster under the faults of one seed, and one through all losses and coincidences, both
 * compared with an undisturbed run.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findS3Server, type S3ServerChoice } from '../servers/s3Server.ts';
import { chaosRun, harmedRun, undisturbedRun, type ChaosOutcome, type HarmedRunOptions } from './chaosRun.ts';
import { courseOf, possibleScenarios } from './scenarios.ts';
import { shortForm } from './schedule.ts';
import { writeConfiguration } from './training.ts';

const s3 = await findS3Server();
const missing =
  'missing' in s3 ? s3.missing : s3.kind === 'external' ? 'the given S3 server is not ours to kill' : undefined;
if (missing) console.warn(`skipped: durability on a cluster: ${missing}`);

describe.skipIf(missing).concurrent('a run on a cluster', () => {
  let folder: string;
  let options: HarmedRunOptions;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cada-durability-configuration-'));
    const configurationFile = await writeConfiguration(folder);
    const undisturbed = await undisturbedRun(s3 as S3ServerChoice, configurationFile);
    options = { s3: s3 as S3ServerChoice, configurationFile, undisturbed, say: (line) => console.log(line) };
  }, 900_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('under the faults of a seed', async () => {
    const outcome = await chaosRun({ ...options, ...shortForm });
    expect(verdict(outcome)).toEqual(faultless);
    expect(outcome.injected.length).toBeGreaterThanOrEqual(6);
  }, 1_800_000);

  test('through losses and coincidences', async () => {
    const scenarios = await possibleScenarios((line) => console.log(line));
    const outcome = await harmedRun(options, courseOf(scenarios, options.undisturbed, options.configurationFile));
    expect(verdict(outcome)).toEqual(faultless);
    expect(outcome.injected.map(({ fault }) => fault)).toEqual(scenarios.map(({ name }) => name));
  }, 1_800_000);
});

const faultless = { state: 'done', differing: [], lost: [], orphans: [], problems: [], redoneWrongly: [] };

function verdict({ ending, differing, lost, orphans, problems, redone }: ChaosOutcome): unknown {
  const state = ending.cause ? `${ending.state}: ${ending.cause}` : ending.state;
  const redoneWrongly = redone
    .filter(({ allowed }) => !allowed)
    .map(({ stage, why, when }) => `${stage}: ${why} (${when})`);
  return { state, differing, lost, orphans, problems, redoneWrongly };
}
