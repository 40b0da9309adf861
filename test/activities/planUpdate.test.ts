import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { readJson, toLines } from '../../activities/inputs.ts';
import { planUpdate } from '../../activities/planUpdate.ts';
import type { GradientShard, OptimisationPlan } from '../../activities/plans.ts';
import type { ArtifactRef, UpdatePlan } from '../../activities/types.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { makeChain, makeScored } from '../alignment/makeChain.ts';
import { libraryFiles, makeRequest } from '../alignment/makeLibrary.ts';

let folder: string;
let store: ArtifactStore;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'plan-update-'));
  store = await openStore(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Two groups: one with signal, whose second chain was cut; one without. Rewards 1, 0 and 1, 1; 3, 5, 3 and 3 tokens. */
const rows = [
  { requestId: 'a', sampleIndex: 0, reward: 1, tokens: 3, cut: false },
  { requestId: 'a', sampleIndex: 1, reward: 0, tokens: 5, cut: true },
  { requestId: 'b', sampleIndex: 0, reward: 1, tokens: 3, cut: false },
  { requestId: 'b', sampleIndex: 1, reward: 1, tokens: 3, cut: false },
];

const list = async (name: string, lines: readonly unknown[]): Promise<ArtifactRef> => {
  const artifact = await store.putBytes(toLines(lines), name);
  return store.putBytes(canonicalJson({ plan: name, shards: [{ artifact, rows: lines.length }] }), `${name}-list`);
};

/** The plan under some settings of an iteration. @param refill rows of a second round */
async function planOf(iteration: object, refill?: typeof rows): Promise<UpdatePlan> {
  const round = async (of: typeof rows) => ({
    chains: await list(
      'chains',
      of.map(({ requestId, sampleIndex, tokens, cut }) =>
        makeChain(requestId, {
          sampleIndex,
          tokens: Array.from({ length: tokens }, () => 3),
          finishReason: cut ? 'length' : 'stop',
        }),
      ),
    ),
    rewards: await list(
      'rewards',
      of.map(({ requestId, sampleIndex, reward }) => makeScored(requestId, { sampleIndex, reward })),
    ),
  });
  const configuration = configurationSchema.parse({ name: 'plan', iteration });
  const run = {
    runId: 'plan',
    configuration: await store.putBytes(canonicalJson(configuration), 'configuration'),
    library: await store.putBytes(
      canonicalJson({
        ...libraryFiles(),
        'requests/training.jsonl': ['a', 'b', 'c', 'd']
          .map((id) => `${JSON.stringify(makeRequest(id, id === 'd' ? 'plain' : 'harmful'))}\n`)
          .join(''),
      }),
      'library',
    ),
  };
  const dependencies = { store } as ActivityDependencies;
  return planUpdate(dependencies, run, {
    iteration: 1,
    ...(await round(rows)),
    ...(refill ? { refills: [await round(refill)] } : {}),
  });
}

/** The plan's only shard: what the engine gets. */
async function shardOf(iteration: object, refill?: typeof rows): Promise<GradientShard> {
  const { plan } = await planOf(iteration, refill);
  const { steps } = await readJson<OptimisationPlan>(store, plan);
  expect(steps[0]!.shards).toHaveLength(1);
  return readJson<GradientShard>(store, steps[0]!.shards[0]!);
}
const weightsOf = ({ sequences }: GradientShard) => sequences.map(({ id, weight }) => [id, weight]);

describe('the plan of an RL step', () => {
  it('gives the engine the same objective and sequences as ever where nothing new is set', async () => {
    const shard = await shardOf({});
    // These bytes are part of the step keys of earlier runs.
    expect(canonicalJson(shard.objective)).toBe(
      '{"clipHigh":0.2,"clipLow":0.2,"klEstimator":"k3","klWeight":0.04,"name":"grpo","temperature":1}',
    );
    expect(weightsOf(shard)).toEqual([
      ['a/0', 1 / 14],
      ['a/1', 1 / 14],
      ['b/0', 1 / 14],
      ['b/1', 1 / 14],
    ]);
    expect(shard.sequences[2]!.advantage).toBe(0);
    expect(shard.sequences[0]!.advantage).toBeCloseTo(0.5 / (Math.SQRT1_2 + 1e-4), 12);
  });

  it('skips groups without signal although KL would pull on them, and does not count their tokens', async () => {
    expect(weightsOf(await shardOf({ skipUniform: true }))).toEqual([
      ['a/0', 1 / 8],
      ['a/1', 1 / 8],
    ]);
  });

  it('filters overlong chains, whose rewards still count in the baseline', async () => {
    const shard = await shardOf({ overlongFilter: true, advantage: 'group-mean' });
    expect(weightsOf(shard)).toEqual([
      ['a/0', 1 / 9],
      ['b/0', 1 / 9],
      ['b/1', 1 / 9],
    ]);
    expect(shard.sequences[0]!.advantage).toBe(0.5);
  });

  it('ramps the overlong penalty up before the limit, for chains that ended in time', async () => {
    // maxNewTokens 112, buffer 110: 3 tokens are 1 past the start of the ramp; weight 0.5.
    const { sequences } = await shardOf({ overlongBuffer: 110, advantage: 'none' });
    expect(sequences.map(({ advantage }) => advantage)).toEqual([1 - 0.5 / 110, 0, 1 - 0.5 / 110, 1 - 0.5 / 110]);
  });

  it('leaves chains without advantage uncomputed only where nothing else pulls on them', async () => {
    const ids = async (iteration: object) => (await shardOf(iteration)).sequences.map(({ id }) => id);
    expect(await ids({ klWeight: 0 })).toEqual(['a/0', 'a/1']);
    expect(await ids({ klWeight: 0, entropyWeight: 0.01 })).toEqual(['a/0', 'a/1', 'b/0', 'b/1']);
  });

  it.each([
    [
      { objective: 'gspo', clipLow: 0.0003, clipHigh: 0.0004, klWeight: 0 },
      { name: 'gspo', clipLow: 0.0003, clipHigh: 0.0004, klWeight: 0, klEstimator: 'k3', temperature: 1 },
    ],
    [
      { objective: 'cispo', ratioCap: 5, klRatioCorrection: true, guidance: 'mixed' },
      {
        name: 'cispo',
        ratioCap: 5,
        klWeight: 0.04,
        klEstimator: 'k3',
        klRatioCorrection: true,
        importanceCap: 2,
        temperature: 1,
      },
    ],
    [
      {
        objective: 'reinforce++',
        advantage: 'token-whitened',
        klPlacement: 'reward',
        klEstimator: 'k1',
        entropyWeight: 0.01,
        ratioCap: 3,
      },
      {
        name: 'grpo',
        clipLow: 0.2,
        clipHigh: 0.2,
        ratioCap: 3,
        klWeight: 0.04,
        klEstimator: 'k1',
        klPlacement: 'reward',
        entropyWeight: 0.01,
        temperature: 1,
      },
    ],
  ])('the objective of %o', async (iteration, objective) => {
    expect((await shardOf(iteration)).objective).toEqual(objective);
  });

  it('whitens over tokens with the tokens of the chains', async () => {
    const settings = { objective: 'reinforce++', advantage: 'token-whitened', klWeight: 0 };
    const { sequences } = await shardOf(settings);
    // 9 tokens with reward 1 and 5 with 0: mean 9 / 14.
    const deviation = Math.sqrt((9 * (5 / 14) ** 2 + 5 * (9 / 14) ** 2) / 13 + 1e-8);
    expect(sequences.map(({ advantage }) => advantage)).toEqual(
      [5, -9, 5, 5].map((distance) => expect.closeTo(distance / 14 / deviation, 10)),
    );
  });

  it('says which groups are to be drawn in place of those without signal, and trains on all rounds together', async () => {
    const settings = { skipUniform: true, refillRounds: 1, requests: { harmful: 2, plain: 1, lookAlike: 0 } };
    expect((await planOf(settings)).missing).toEqual({ harmful: 1, plain: 1, lookAlike: 0 });
    expect((await planOf({ ...settings, refillRounds: undefined })).missing).toBeUndefined();
    expect((await planOf({ ...settings, requests: { harmful: 1, plain: 0, lookAlike: 0 } })).missing).toBeUndefined();

    const refill = ['c', 'd'].flatMap((requestId) =>
      [0, 1].map((sampleIndex) => ({ requestId, sampleIndex, reward: sampleIndex, tokens: 2, cut: false })),
    );
    // After the last round what is still missing is not asked for.
    expect(
      (await planOf({ ...settings, requests: { harmful: 9, plain: 1, lookAlike: 0 } }, refill)).missing,
    ).toBeUndefined();
    const shard = await shardOf(settings, refill);
    expect(weightsOf(shard).map(([id]) => id)).toEqual(['a/0', 'a/1', 'c/0', 'c/1', 'd/0', 'd/1']);
    expect(shard.sequences[0]!.weight).toBe(1 / 16);
  });

  it('weighs chains of rounded weights by what they were drawn from', async () => {
    const shard = await shardOf({ generationWeights: 'eightBit' });
    expect(shard.sequences.map(({ behaviourLogProbs }) => behaviourLogProbs)).toEqual(Array(4).fill([-1, -1, -1]));
    expect(shard.objective).toMatchObject({ importanceCap: 2 });
    expect((await shardOf({})).sequences[0]!.behaviourLogProbs).toBeUndefined();
  });
});
