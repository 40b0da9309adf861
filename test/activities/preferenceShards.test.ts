/** How the sequences of preferences are cut into shards of scoring: the engine computes the prompt of neighbours once. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { readJson, toLines } from '../../activities/inputs.ts';
import { planPreferences } from '../../activities/planPreferences.ts';
import { gatherPrompts, type PreferencePlan, type PreferenceShard } from '../../activities/preferencePlan.ts';
import type { ArtifactRef, RunContext } from '../../activities/types.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { makeChain, makeScored } from '../alignment/makeChain.ts';

let folder: string;
let store: ArtifactStore;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'preference-shards-'));
  store = await openStore(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Two chains of each of three requests: the first right, the second wrong. */
const rows = ['a', 'b', 'c'].flatMap((requestId, prompt) =>
  [0, 1].map((sampleIndex) => ({ requestId, sampleIndex, prompt })),
);

async function list(name: string, lines: readonly unknown[]): Promise<ArtifactRef> {
  const artifact = await store.putBytes(toLines(lines), name);
  return store.putBytes(canonicalJson({ plan: name, shards: [{ artifact, rows: lines.length }] }), `${name}-list`);
}

async function planned(method: 'dpo' | 'kto', settings: object, reward = (sampleIndex: number) => 1 - sampleIndex) {
  const chains = rows.map(({ requestId, sampleIndex, prompt }) =>
    makeChain(requestId, { sampleIndex, promptTokens: [7, 40 + prompt], tokens: [10 * prompt + sampleIndex] }),
  );
  const rewards = rows.map(({ requestId, sampleIndex }) =>
    makeScored(requestId, { sampleIndex, reward: reward(sampleIndex) }),
  );
  const configuration = configurationSchema.parse({ name: 'x', iteration: { method }, ...settings });
  const run = { runId: 'x', configuration: await store.putBytes(canonicalJson(configuration), 'configuration') };
  const { plan, shards, items } = await planPreferences({ store } as ActivityDependencies, run as RunContext, {
    ...{ iteration: 1, chains: await list('chains', chains), rewards: await list('rewards', rewards) },
  });
  const refs = (await readJson<PreferencePlan>(store, plan)).shards;
  expect(refs).toHaveLength(shards);
  const ids = await Promise.all(
    refs.map(async (ref) => (await readJson<PreferenceShard>(store, ref)).sequences.map(({ id }) => id)),
  );
  expect(ids.flat()).toHaveLength(items);
  return ids;
}

describe('shards of scoring', () => {
  const ofPrompt = {
    a: ['a/0', 'a/1', 'a/0 b/0', 'a/1 b/1'],
    b: ['b/0', 'b/1', 'b/0 c/0', 'b/1 c/1'],
    c: ['c/0', 'c/1', 'c/0 a/0', 'c/1 a/1'],
  };

  test('KTO: a prompt behind which completions of another request stand too is in one shard', async () => {
    expect(await planned('kto', { shards: { gradientSequences: 4 } })).toEqual([ofPrompt.a, ofPrompt.b, ofPrompt.c]);
    expect(await planned('kto', { shards: { gradientSequences: 8 } })).toEqual([
      [...ofPrompt.a, ...ofPrompt.b],
      ofPrompt.c,
    ]);
    // A prompt with more sequences than a shard should have is not cut.
    expect(await planned('kto', { shards: { gradientSequences: 1 } })).toEqual([ofPrompt.a, ofPrompt.b, ofPrompt.c]);
  });

  test('KTO: what a micro-batch cannot hold together, or what is never computed together, may be cut', async () => {
    // A row of 16 positions: one shared token, 4 of their own and padding. Nothing fits into 15.
    expect(await planned('kto', { shards: { gradientSequences: 2 }, engine: { microBatchTokens: 16 } })).toHaveLength(
      3,
    );
    const halves = [ofPrompt.a, ofPrompt.b, ofPrompt.c].flatMap((ids) => [ids.slice(0, 2), ids.slice(2)]);
    const cut = { shards: { gradientSequences: 2 } };
    expect(await planned('kto', { ...cut, engine: { microBatchTokens: 15 } })).toEqual(halves);
    expect(await planned('kto', { ...cut, trained: 'all' })).toEqual(halves);
  });

  test('DPO: both sides of a pair are in one shard; without a pair there is none', async () => {
    expect(await planned('dpo', { shards: { gradientSequences: 2 } })).toEqual([
      ['a/0', 'a/1'],
      ['b/0', 'b/1'],
      ['c/0', 'c/1'],
    ]);
    expect(await planned('dpo', {}, () => 1)).toEqual([]);
  });
});

test('prompts and their sequences are gathered in the order in which they first appear', () => {
  const one = (id: string, ...promptTokens: number[]) => ({ id, promptTokens });
  const mixed = [one('a', 1, 2), one('b', 12), one('c', 1, 2), one('d', 1), one('e', 12)];
  expect(gatherPrompts(mixed).map(({ id }) => id)).toEqual(['a', 'c', 'b', 'e', 'd']);
});
