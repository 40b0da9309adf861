/** The largest record that a run can have, as its workflow hands it over: every benchmark, withheld hazards, a guard model, faithfulness and a release. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultPayloadConverter } from '@temporalio/common';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { saveRun } from '../../activities/records.ts';
import { summariseEvaluation } from '../../activities/summariseEvaluation.ts';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import type { ArtifactRef, Figures, IterationLineage, RunContext, RunPlan, RunRecord } from '../../activities/types.ts';
import { benchmarkNames } from '../../alignment/benchmarks/benchmarkNames.ts';
import { harmfulShare } from '../../alignment/benchmarks/kinds.ts';
import { longestReasonBytes } from '../../alignment/governance/decision.ts';
import { mostRefillRounds } from '../../alignment/configuration/iteration.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import type { RequestKind } from '../../alignment/library/library.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { loadRun } from '../../infra/artifacts/runs.ts';
import { shortReferences } from '../../infra/temporal/shortReferences.ts';
import { evaluationCardFigures } from '../../workflows/cardFigures.ts';
import { carriedOver, restored } from '../../workflows/carriedMemory.ts';
import type { SuitesInput } from '../../workflows/evaluateSuites.ts';
import { recordOf, startMemory, type RunAtWork, type RunMemory } from '../../workflows/runMemory.ts';
import { makeChain, makeScored } from '../alignment/makeChain.ts';
import { libraryFiles, makeRequest } from '../alignment/makeLibrary.ts';

const lines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** Three of each kind, of which one is refused: no share has a short decimal form. */
const three = (name: string, kind: RequestKind, category: string) =>
  [0, 1, 2].map((index) => makeRequest(`${name}-${kind}-${index}`, kind, category));
const own = (['harmful', 'plain', 'look-alike'] as const).flatMap((kind) => [
  ...three('privacy', kind, 'privacy'),
  ...three('hate', kind, 'hate'),
]);
const benchmarks = benchmarkNames.map((name) => {
  const share = harmfulShare(name);
  const kinds = [...(share > 0 ? (['harmful'] as const) : []), ...(share < 1 ? (['look-alike'] as const) : [])];
  return [name, kinds.flatMap((kind) => three(name, kind, 'privacy'))] as const;
});

let store: ArtifactStore;
let run: RunContext;
let figures: Figures;
let evaluationArtifact: ArtifactRef;

beforeAll(async () => {
  store = await openStore(`file://${mkdtempSync(join(tmpdir(), 'cada-record-'))}`);
  const put = (value: unknown, kind: string) => store.putBytes(canonicalJson(value), kind);
  const files = {
    ...libraryFiles(),
    'requests/heldOut.jsonl': lines(own),
    ...Object.fromEntries(benchmarks.map(([name, rows]) => [`benchmarks/${name}.jsonl`, lines(rows)])),
  };
  const configuration = configurationSchema.parse({
    ...{ name: 'large', model: { source: 'owner/model' }, library: { withhold: ['privacy'] } },
    evaluation: { benchmarks: [...benchmarkNames] },
  });
  run = {
    runId: `${'l'.repeat(40)}-1234abcd`,
    configuration: await put(configuration, 'configuration'),
    library: await put(files, 'library'),
  };
  const requests = [...own, ...benchmarks.flatMap(([, rows]) => rows)];
  const shards = async (rows: object[], kind: string): Promise<ArtifactRef> =>
    put({ shards: [{ artifact: await store.putBytes(lines(rows), kind) }] }, 'shards');
  const scored = requests.map(({ id, kind }, index) =>
    makeScored(id, {
      ...{ kind, verdict: index % 3 === 0 ? 'refusal' : 'compliance', harmByGuard: index % 3 === 1 },
      ...{ format: index % 3 !== 2, reward: 1 / 7 },
    }),
  );
  ({ figures, artifact: evaluationArtifact } = await summariseEvaluation({ store } as ActivityDependencies, run, {
    name: 'after',
    chains: await shards(
      requests.map(({ id }) => makeChain(id)),
      'chains',
    ),
    rewards: await shards(scored, 'rewards'),
    losses: await put(
      own.slice(0, 3).map(({ id }, index) => ({ requestId: id, kind: 'plain', loss: 1 / (7 + index), tokens: 10 })),
      'losses',
    ),
  }));
});

/** As on S3; people name buckets and prefixes. */
const shortStore = 's3://alignment-artifacts-eu-central/teams/safety';
/** The longest name that a bucket can have, and a prefix of 200 characters. */
const longStore = `s3://${'b'.repeat(63)}/${'teams/'.repeat(33)}of`;
let storeUri = shortStore;
afterEach(() => {
  storeUri = shortStore;
});
const artifact = (kind: string, at: string = storeUri): ArtifactRef => ({
  uri: `${at}/objects/${'0'.repeat(64)}`,
  ...{ sha256: '0'.repeat(64), bytes: 1_234_567_890, kind },
});

function atWork(): RunAtWork {
  const plan: RunPlan = {
    ...{ warmStart: true, evaluateAfterWarmStart: true, iterations: 1000, klReference: 'warmStart', probe: true },
    release: { approval: true, timeoutHours: 48, onTimeout: 'approve-if-met' },
  };
  const memory = startMemory(run, plan);
  const shown = evaluationCardFigures(figures);
  const evaluation = (name: string) => [name, { artifact: artifact('evaluation'), figures: shown }] as const;
  return {
    ...{ run, plan, server: { searchable: true, archive: true } },
    memory: {
      ...memory,
      policy: {
        model: artifact('model'),
        adapter: artifact('adapter'),
        optimizer: artifact('optimizer'),
        decision: artifact('decision'),
      },
      originAdapter: artifact('adapter'),
      baseAnswers: artifact('chains'),
      evaluations: Object.fromEntries(['before', 'warm start', 'after'].map(evaluation)),
      exported: artifact('export'),
      report: artifact('report'),
      release: {
        ...{ status: 'awaiting approval', adapter: '0'.repeat(64), verdict: artifact('release-verdict'), met: false },
        told: '6 of 6 criteria not met: refusal/harmful after against before 0.512 (at least 0.9); refusal/plain 0.31 (at most 0.2); refusal/look-alike 0.42 (at most 0.2), and 3 more',
        ...{ askedAt: '2030-01-31T12:34:56.789Z', deadline: '2030-02-02T12:34:56.789Z', timedOut: true },
      },
      wallSeconds: Object.fromEntries(
        [
          'prepare model',
          'evaluate before',
          'warm start',
          'evaluate warm start',
          'iterations',
          'evaluate after',
          'export',
          'release criteria',
          'release',
          'report',
        ].map((stage) => [stage, 1234.567890123]),
      ),
      peakMemoryBytes: { engine: 12_345_678_901, control: 1_234_567_890, gpu: 1_234_567_890 },
      progress: { ...memory.progress, state: 'awaiting approval', stage: 'release' },
    },
  };
}

test('has all figures of its evaluations', () => {
  expect(Object.keys(figures).filter((name) => name.includes('/')).length).toBeGreaterThan(20);
  expect(figures['refusal/harmful']).toBeCloseTo(1 / 3, 12);
  expect(figures['refusal/harmful/unseen']).toBeCloseTo(1 / 3, 12);
  expect(figures['strongreject-attacks/refusal/harmful']).toBeCloseTo(1 / 3, 12);
});

/** Of a value in the payload that a server gets, metadata and all; what comes out of it is what went in. */
async function sent(value: unknown): Promise<number> {
  const [payload] = await shortReferences.encode([defaultPayloadConverter.toPayload(value)!]);
  const [back] = await shortReferences.decode([payload!]);
  expect(defaultPayloadConverter.fromPayload(back!)).toEqual(JSON.parse(JSON.stringify(value)));
  const metadata = Object.entries(payload!.metadata!).reduce(
    (sum, [name, { length }]) => sum + name.length + length,
    0,
  );
  return metadata + payload!.data!.length;
}

test.each([
  ['short', shortStore],
  ['long', longStore],
])('travels in payloads of at most 4096 bytes where the address of the store is %s', async (_, address) => {
  storeUri = address;
  const work = atWork();
  const [memory, release] = carriedOver(rememberedMost());
  const { policy } = work.memory;
  const round = { plan: artifact('plan'), chains: artifact('chains'), rewards: artifact('rewards') };
  const lineage: IterationLineage = {
    ...{ epoch: 12, iteration: 997, parent: '0'.repeat(64), policy: policy!, ...round },
    ...{ preferences: artifact('preferences'), validation: artifact('validation') },
    ...{ updatePlan: artifact('update-plan'), evaluation: artifact('evaluation') },
  };
  // Only a step of the policy gradient has rounds, and no validator decides for it.
  const rounds = Array.from({ length: mostRefillRounds }, () => round);
  const { preferences: _preferences, validation: _validation, ...plain } = lineage;
  const { decision: _decision, ...trained } = policy!;
  const refilled: IterationLineage = { ...plain, policy: trained, refills: rounds };
  const { plan: _plan, ...generated } = round;
  const advantages = { iteration: 997, ...generated, refills: rounds.map(({ plan: _, ...others }) => others) };
  const missing = { harmful: 1234, plain: 1234, 'look-alike': 1234 };
  const sampling = {
    ...{ kind: 'iteration', iteration: 997, epoch: 12 },
    refill: { missing, after: rounds.map(({ plan }) => plan) },
  };
  const suites: SuitesInput = {
    run: { ...run, configuration: artifact('configuration'), library: artifact('library') },
    questions: artifact('suite-questions'),
    ...{ judge: artifact('judge-settings'), guard: artifact('guard-settings'), attacks: artifact('attack-settings') },
    ...{ policy: policy!, faithfulness: true },
  };
  const iteration = { lineage, refilled, advantages, sampling };
  const whole = { record: recordOf(work), release: release!, memory, ...iteration, suites };
  const sizes = Object.entries(whole).map(async ([name, value]) => [name, await sent(value)] as const);
  for (const [name, size] of await Promise.all(sizes)) expect.soft(size, name).toBeLessThanOrEqual(4096);
});

test('travels in payloads of at most 4096 bytes, with everything that a configuration can ask for; so does its release', () => {
  const work = atWork();
  expect(bytes(recordOf(work))).toBeLessThanOrEqual(4096);
  expect(bytes(work.memory.release)).toBeLessThanOrEqual(4096);
});

/** All that a run can remember when it continues as new, or is extended after its release. */
function rememberedMost(): RunMemory {
  const { memory } = atWork();
  const long = (character: string) => character.repeat(longestReasonBytes / new TextEncoder().encode(character).length);
  const progress: RunMemory['progress'] = {
    ...memory.progress,
    ...{
      state: 'running',
      stage: 'iteration 997',
      iteration: 997,
      iterations: 1000,
      shardsDone: 2000,
      shardsTotal: 2000,
    },
    ...{ tokensPerSecond: 1234.56789, meanReward: 1 / 3, notes: ['n'.repeat(2000)] },
    finishedStages: Array.from({ length: 40 }, (_, index) => ({
      ...{ stage: `iteration ${index}`, seconds: 123.456789, cached: index === 39, figures: { reward: 1 / 3 } },
    })),
  };
  const decision = { outcome: 'approved' as const, by: 'n'.repeat(100), why: long('ü'), despite: long('d') };
  return {
    ...memory,
    ...{ epoch: 12, iteration: 997, guarded: 3, courseChanges: 40, progress },
    recent: Array.from({ length: 12 }, (_, index) => ({
      iteration: 986 + index,
      figures: {
        ...{ reward: 1 / 3, 'rewards/format/mean': 1 / 7, kl: 1 / 700, grad_norm: 1 / 9 },
        'completions/mean_length': 101.123456789,
      },
    })),
    told: ['a', 'b', `after iteration 3: ${'iteration.learningRate 0.0001 -> 0.00005, '.repeat(22)}`],
    release: { ...memory.release!, decision: { ...decision, at: '2030-01-31T12:34:56.789Z' } },
  };
}

test('a next execution gets payloads of at most 4096 bytes; so does a run that goes on after its release', () => {
  const { run: at, plan, server } = atWork();
  const context = { ...at, configuration: artifact('configuration'), library: artifact('library') };
  const input = {
    ...{ run: { ...context, guardModel: artifact('guard-model') }, server },
    plan: {
      ...{ ...plan, preferences: true, validator: 'distribution', guardModel: true },
      guard: { maxKl: 1 / 3, minReward: -1 / 3, action: 'rollBack', maxRollBacks: 3, rateFactor: 1 / 3 },
    },
  };
  const [memory, release] = carriedOver(rememberedMost());
  console.log(`carried: ${bytes(input)}, ${bytes(memory)} and ${bytes(release)} bytes`);
  expect(bytes(input)).toBeLessThanOrEqual(4096);
  expect(bytes(memory)).toBeLessThanOrEqual(4096);
  expect(bytes(release)).toBeLessThanOrEqual(4096);
});

test('a next execution remembers whole references, also of a store that has moved', () => {
  const before = rememberedMost();
  before.baseAnswers = artifact('chains', 's3://first/place');
  before.originAdapter = { ...artifact('adapter'), uri: 'elsewhere' };
  const [carried, release] = carriedOver(before);
  expect(new Set(carried.stores)).toEqual(new Set(['s3://first/place/objects/', `${storeUri}/objects/`]));
  const after = restored(carried, release);
  const { recent, told, wallSeconds, progress, ...kept } = before;
  expect(after).toMatchObject(kept);
  expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort());
  expect(after.recent).toEqual(
    recent.slice(-4).map(({ iteration }) => ({
      iteration,
      figures: {
        ...{ reward: 0.3333, 'rewards/format/mean': 0.1429, kl: 0.0014, grad_norm: 0.1111 },
        'completions/mean_length': 101.1235,
      },
    })),
  );
  expect(told[2]!.startsWith(after.told[0]!)).toBe(true);
  expect(Object.keys(after.wallSeconds)).toEqual(Object.keys(wallSeconds));
  expect(after.progress).toMatchObject({ stage: progress.stage, meanReward: 1 / 3, notes: [] });
  const stages = [0, 1, ...Array.from({ length: 10 }, (_, index) => 30 + index)];
  expect(after.progress.finishedStages).toEqual(
    stages.map((index) => ({ stage: `iteration ${index}`, seconds: 123.4568, cached: index === 39 })),
  );
  // Without a release it has none.
  delete before.release;
  expect(carriedOver(before)).toHaveLength(1);
  expect('release' in restored(carriedOver(before)[0])).toBe(false);
});

// Older builds handed over whole references, and the release among the rest.
test('a next execution takes what an execution of an older build hands over', () => {
  const older = rememberedMost();
  expect(restored(older)).toEqual(older);
});

test('has all figures in the store, read from each evaluation once', async () => {
  const { release, ...memory } = atWork().memory;
  const evaluations = { after: { artifact: evaluationArtifact, figures: evaluationCardFigures(figures) } };
  const work = { ...atWork(), memory: { ...memory, evaluations } };
  const dependencies = { store } as ActivityDependencies;
  await saveRun(dependencies, run, recordOf(work), release);
  const first = (await loadRun<RunRecord>(store, run.runId))!.record;
  expect(first.evaluations['after']!.figures).toEqual(figures);
  expect(first.release).toEqual(release);
  await store.deleteObject(evaluationArtifact.sha256);
  await saveRun(dependencies, run, recordOf(work));
  const second = (await loadRun<RunRecord>(store, run.runId))!.record;
  expect(second.evaluations).toEqual(first.evaluations);
  expect(second.release).toBeUndefined();
});
