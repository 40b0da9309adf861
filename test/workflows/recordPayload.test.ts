/** The largest record that a run can have, as its workflow hands it over: every benchmark, withheld hazards, a guard model, faithfulness and a release. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { summariseEvaluation } from '../../activities/summariseEvaluation.ts';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import type { ArtifactRef, Figures, RunContext, RunPlan } from '../../activities/types.ts';
import { benchmarkNames } from '../../alignment/benchmarks/benchmarkNames.ts';
import { harmfulShare } from '../../alignment/benchmarks/kinds.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import type { RequestKind } from '../../alignment/library/library.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
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
  ({ figures } = await summariseEvaluation({ store } as ActivityDependencies, run, {
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
  const evaluation = (name: string) => [name, { artifact: artifact('evaluation'), figures }] as const;
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

/** Of its evaluations only what every run has. */
function plain(): RunAtWork {
  const work = atWork();
  const common = [
    'chains',
    'format',
    'reward',
    'utility/loss',
    'refusal/harmful',
    'refusal/plain',
    'refusal/look-alike',
  ];
  for (const evaluation of Object.values(work.memory.evaluations))
    evaluation.figures = Object.fromEntries(common.map((name) => [name, figures[name]!]));
  delete work.memory.release;
  delete work.memory.policy!.decision;
  return work;
}

test('travels in payloads of at most 4096 bytes where a run has no benchmarks, withheld hazards or release', () => {
  expect(bytes(recordOf(plain()))).toBeLessThanOrEqual(4096);
});

// More than the 4 KB that payloads are to keep to, and far from the 2 MB that Temporal takes. Figures of three evaluations are half of it, the addresses in
// thirteen references a fifth.
test('has at most 8.5 KB with everything that a configuration can ask for, and so has what a next execution gets', () => {
  const work = atWork();
  expect(bytes(figures)).toBeLessThanOrEqual(1500);
  expect(bytes(recordOf(work))).toBeLessThanOrEqual(8.5 * 1024);
  expect(bytes(carriedOver(work.memory))).toBeLessThanOrEqual(8.5 * 1024);
});
