/** The largest record that a run can have, as its workflow hands it over: every benchmark, withheld hazards, a guard model, faithfulness and a release. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { saveRun } from '../../activities/records.ts';
import { summariseEvaluation } from '../../activities/summariseEvaluation.ts';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import type { ArtifactRef, Figures, RunContext, RunPlan, RunRecord } from '../../activities/types.ts';
import { benchmarkNames } from '../../alignment/benchmarks/benchmarkNames.ts';
import { harmfulShare } from '../../alignment/benchmarks/kinds.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import type { RequestKind } from '../../alignment/library/library.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { loadRun } from '../../infra/artifacts/runs.ts';
import { evaluationCardFigures } from '../../workflows/cardFigures.ts';
import { carriedOver, recordOf, startMemory, type RunAtWork } from '../../workflows/runMemory.ts';
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
    runId: 'large-1234abcd',
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
const artifact = (kind: string): ArtifactRef => ({
  uri: `s3://alignment-artifacts-eu-central/teams/safety/objects/${'0'.repeat(64)}`,
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

test('travels in payloads of at most 4096 bytes, with everything that a configuration can ask for; so does its release', () => {
  const work = atWork();
  expect(bytes(recordOf(work))).toBeLessThanOrEqual(4096);
  expect(bytes(work.memory.release)).toBeLessThanOrEqual(4096);
});

// A reference is 200 bytes here, and there are ten: of a store with a shorter address it is 4 KB.
test('a next execution gets at most 4.5 KB; a release, which only a run has that was extended after its end, adds one more', () => {
  const { memory } = atWork();
  memory.recent = Array.from({ length: 8 }, (_, index) => ({
    iteration: 990 + index,
    figures: {
      reward: 1 / 3,
      'rewards/format/mean': 1 / 7,
      kl: 1 / 700,
      grad_norm: 1 / 9,
      'completions/mean_length': 101.123456789,
    },
  }));
  memory.progress.finishedStages = Array.from({ length: 40 }, (_, index) => ({
    ...{ stage: `iteration ${index}`, seconds: 123.456789, cached: false },
  }));
  const { release, ...others } = carriedOver(memory);
  expect(bytes(others)).toBeLessThanOrEqual(4.5 * 1024);
  expect(bytes(release)).toBeLessThanOrEqual(1024);
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
