/** Marked chains in the plans of a warm start, of DPO and of KTO. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { readJson, toLines } from '../../activities/inputs.ts';
import { planPreferences } from '../../activities/planPreferences.ts';
import { planWarmStart } from '../../activities/planWarmStart.ts';
import type { GradientShard, OptimisationPlan } from '../../activities/plans.ts';
import type { PreferencePlan, PreferenceShard } from '../../activities/preferencePlan.ts';
import type { ArtifactRef, RunContext } from '../../activities/types.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import type { MarkedChain, MarkedChains } from '../../alignment/feedback/markedChains.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { saveRun } from '../../infra/artifacts/runs.ts';
import { makeChain, makeScored } from '../alignment/makeChain.ts';
import { libraryFiles, makeRequest } from '../alignment/makeLibrary.ts';

let folder: string;
let store: ArtifactStore;
let rounds: { chains: ArtifactRef; rewards: ArtifactRef };
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'marked-training-'));
  store = await openStore(folder);
  rounds = {
    chains: await list(
      'chains',
      rows.map(([requestId, sampleIndex, , token]) => makeChain(requestId, { sampleIndex, tokens: [token] })),
    ),
    rewards: await list(
      'rewards',
      rows.map(([requestId, sampleIndex, reward]) =>
        makeScored(requestId, { sampleIndex, reward, verdict: reward === 1 ? 'refusal' : 'compliance' }),
      ),
    ),
  };
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Request, sample, reward (1: it refuses, as it should; 0: it does not), token. */
const rows: [requestId: string, sample: number, reward: number, token: number][] = [
  ['a', 0, 1, 10],
  ['a', 1, 0, 11],
  ['b', 0, 1, 20],
  ['b', 1, 0, 21],
];

/** All requests of these tests have the same prompt. */
const { promptTokens } = makeChain('any');

const marked = (requestId: string, as: MarkedChain['as'], token: number): MarkedChain => ({
  ...{
    run: 'r',
    chain: `1/${requestId}/${token}`,
    requestId,
    as,
    promptTokens: makeChain(requestId, {}).promptTokens,
    tokens: [token],
    text: '',
  },
});
/** The reward errs about both chains of b; c is of this file alone. */
const marks = [marked('b', 'leak', 20), marked('b', 'right', 21), marked('c', 'right', 30), marked('c', 'harmful', 31)];

async function list(name: string, lines: readonly unknown[]): Promise<ArtifactRef> {
  const artifact = await store.putBytes(toLines(lines), name);
  return store.putBytes(canonicalJson({ plan: name, shards: [{ artifact, rows: lines.length }] }), `${name}-list`);
}

/** A run with these settings whose `marks` are the ones above, or none. */
async function runWith(section: 'warmStart' | 'iteration', settings: object, takesMarks: boolean): Promise<RunContext> {
  const artifact: MarkedChains = { format: 'cada-marked-chains', model: 'm1', chains: marks };
  const { sha256 } = await store.putBytes(canonicalJson(artifact), 'marked-chains');
  const configuration = configurationSchema.parse({
    name: 'x',
    [section]: { ...settings, ...(takesMarks ? { marks: { of: 'r', chains: sha256 } } : {}) },
  });
  const training = ['a', 'b', 'c'].map((id) => `${JSON.stringify(makeRequest(id))}\n`).join('');
  const run = {
    runId: `${section}-${JSON.stringify(settings).length}-${takesMarks}`,
    configuration: await store.putBytes(canonicalJson(configuration), 'configuration'),
    library: await store.putBytes(canonicalJson({ ...libraryFiles(), 'requests/training.jsonl': training }), 'library'),
  };
  const model = await store.putBytes(canonicalJson({ digest: 'm1' }), 'model');
  await saveRun(store, run.runId, { ...run, policy: { model } });
  return run;
}

const dependencies = () => ({ store }) as ActivityDependencies;

async function learnt(run: RunContext): Promise<string[]> {
  const { plan } = await planWarmStart(dependencies(), run, rounds);
  const ids: string[] = [];
  for (const { shards } of (await readJson<OptimisationPlan>(store, plan)).steps)
    for (const shard of shards)
      ids.push(...(await readJson<GradientShard>(store, shard)).sequences.map(({ id }) => id));
  return ids.sort();
}

test('warm start: what is marked bad leaves, what is marked right joins, and without marks nothing changes', async () => {
  const settings = { epochs: 1 };
  expect(await learnt(await runWith('warmStart', settings, false))).toEqual(['a/0', 'b/0']);
  const run = await runWith('warmStart', settings, true);
  expect(await learnt(run)).toEqual(['a/0', 'marked/r/1/b/21', 'marked/r/1/c/30']);
  const { figures } = await planWarmStart(dependencies(), run, rounds);
  expect(figures).toMatchObject({
    'warm_start/kept': 2,
    'warm_start/marked_added': 2,
    'warm_start/marked_left_out': 1,
  });
});

async function preferences(method: 'dpo' | 'kto', takesMarks: boolean) {
  const run = await runWith('iteration', { method }, takesMarks);
  const { plan } = await planPreferences(dependencies(), run, { iteration: 1, ...rounds });
  const read = await readJson<PreferencePlan>(store, plan);
  const sequences = await Promise.all(read.shards.map((shard) => readJson<PreferenceShard>(store, shard)));
  return { plan: read, sequences: sequences.flatMap((shard) => shard.sequences) };
}

test('DPO: right against bad chains of a request, less what rewards prefer against a mark', async () => {
  const without = await preferences('dpo', false);
  expect(without.plan).toMatchObject({
    pairs: [
      { chosen: 'a/0', rejected: 'a/1' },
      { chosen: 'b/0', rejected: 'b/1' },
    ],
  });
  const { plan, sequences } = await preferences('dpo', true);
  expect(plan).toMatchObject({
    pairs: [
      { chosen: 'a/0', rejected: 'a/1' },
      { chosen: 'marked/r/1/b/21', rejected: 'marked/r/1/b/20' },
      { chosen: 'marked/r/1/c/30', rejected: 'marked/r/1/c/31' },
    ],
  });
  expect(sequences.find(({ id }) => id === 'marked/r/1/c/30')).toEqual({
    ...{ id: 'marked/r/1/c/30', promptTokens, completionTokens: [30] },
  });
});

test('KTO: every marked chain with its label, which also overrules that of the same chain by the filters', async () => {
  const { plan } = await preferences('kto', true);
  expect((plan as PreferencePlan & { method: 'kto' }).labelled).toEqual([
    { id: 'a/0', desirable: true },
    { id: 'a/1', desirable: false },
    { id: 'b/0', desirable: false },
    { id: 'b/1', desirable: true },
    { id: 'marked/r/1/b/20', desirable: false },
    { id: 'marked/r/1/b/21', desirable: true },
    { id: 'marked/r/1/c/30', desirable: true },
    { id: 'marked/r/1/c/31', desirable: false },
  ]);
});
