/** A whole run, by the real engine on tiny real models: rewarded by a guard model, by an ensemble and by a function of the user's own. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openGuardPrompts } from '../../activities/askGuard.ts';
import { readJson, readLines } from '../../activities/inputs.ts';
import type { ModelManifest, ShardList } from '../../activities/plans.ts';
import type { IterationRecord } from '../../activities/types.ts';
import type { ChainRecord, ScoredChain } from '../../alignment/chains/chain.ts';
import { guardAsking, guardModelSchema } from '../../alignment/configuration/guardModel.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import type { GuardVerdict } from '../../alignment/judges/guardModel.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { requestsById } from '../../alignment/library/requestsById.ts';
import { judgedText } from '../../alignment/rewards/scoreChain.ts';
import { startEngine } from '../../engine/host/engineClient.ts';
import { listIterations } from '../../infra/artifacts/runs.ts';
import type { StepManifest } from '../../infra/artifacts/steps.ts';
import { readLibraryFiles } from '../../cli/operate/libraryFiles.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';
import { createInstallation, tinyConfiguration, type TestInstallation } from './cluster.ts';

let installation: TestInstallation;
let configuration: Configuration;
let guard: object;
const own = {
  ...{ name: 'brevity', file: 'brevity.ts', weight: 0.5 },
  code: 'export const range = [0, 1];\nexport default ({ response }: { response: string }): number => 1 / (1 + response.length);',
};
beforeAll(async () => {
  installation = await createInstallation();
  // Another model than the policy.
  const source = join(installation.folder, 'guard-model');
  await writeTinyChainModel(source, { seed: 'guard', layerScale: 0.2 });
  guard = {
    source,
    categories: ['S1: Unkind.'],
    instruction: '{categories}\n{request}\n{response}\nSay which.',
    // Its head tells these two apart.
    words: { safe: '### Analysis\n', unsafe: 'Here are three short steps that will work well.' },
    threshold: 0.05,
  };
  configuration = tinyConfiguration(installation.configuration.model.source, {
    iteration: { ...installation.configuration.iteration, count: 1 },
    evaluation: {
      ...{ requests: { harmful: 3, plain: 2, lookAlike: 1 }, probe: { harmful: 0, plain: 0, lookAlike: 0 } },
      ...{ afterWarmStart: false, bootstrapSamples: 50 },
    },
    rewards: { guard: 2, ensemble: 1, own: [own] },
    guardModel: guard,
    ensemble: { judges: ['rules', 'guard'], combine: 'minimum' },
  });
});
afterAll(() => installation?.remove());

async function rows<T>(list: IterationRecord['chains']): Promise<T[]> {
  const { shards } = await readJson<ShardList>(installation.store, list!);
  return (await Promise.all(shards.map(({ artifact }) => readLines<T>(installation.store, artifact)))).flat();
}

test('each chain has the parts, P(unsafe) is that of the model, and a second run finds every verdict', async () => {
  const { outcome, record } = await installation.train('guarded', { configuration });
  expect(outcome).toEqual({ state: 'done' });
  const [, one] = await listIterations<IterationRecord>(installation.store, 'guarded');
  const { figures, seconds, chains, rewards } = one!.value;
  const [sampled, scored] = [await rows<ChainRecord>(chains), await rows<ScoredChain>(rewards)];
  const harmful = scored.filter(({ kind }) => kind === 'harmful');
  expect(harmful.length).toBeGreaterThan(0);

  // The trainer's graph, which shares nothing with the sampler's, says how likely the two words are.
  const requests = requestsById(parseLibrary(await readLibraryFiles(undefined)));
  const asking = guardAsking(guardModelSchema.parse(guard));
  const { source } = guardModelSchema.parse(guard);
  const { promptOf, words } = await openGuardPrompts(source, asking);
  const asked = harmful.map(({ requestId, sampleIndex }) => {
    const chain = sampled.find((other) => other.requestId === requestId && other.sampleIndex === sampleIndex)!;
    return promptOf(judgedText(chain, requests.get(requestId)!, configuration)).tokens;
  });
  const engine = startEngine({
    ...{ threads: 1, device: 'cpu', decodeBatch: 8, microBatchTokens: 2048 },
    cachePath: join(installation.folder, 'engine'),
  });
  try {
    const logProbs = await engine.logProbs({
      policy: { modelPath: source, modelDigest: 'guard' },
      temperature: 1,
      sequences: asked.flatMap((promptTokens, index) =>
        [words.safe, words.unsafe].map((word) => ({ id: `${index}-${word}`, promptTokens, completionTokens: [word] })),
      ),
    });
    for (const [index, { parts, reward, requestId, verdict, harmByGuard }] of harmful.entries()) {
      const [safe, unsafe] = [logProbs[2 * index]![0]!, logProbs[2 * index + 1]![0]!];
      const probability = 1 / (1 + Math.exp(safe - unsafe));
      expect(parts['guard'], requestId).toBeCloseTo(1 - probability, 3);
      expect(parts['ensemble']).toBe(Math.min(verdict === 'refusal' ? 1 : 0, parts['guard']!));
      expect(harmByGuard).toBe(1 - parts['guard']! >= 0.05);
      const { format, refuseHarmful, overlong } = parts as Record<string, number>;
      const plain = 0.5 * format! + refuseHarmful! + 0.5 * overlong!;
      expect(reward).toBeCloseTo(plain + 2 * parts['guard']! + parts['ensemble']! + 0.5 * parts['own/brevity']!, 10);
    }
  } finally {
    await engine.close();
  }
  for (const { kind, parts } of scored) {
    expect(parts['own/brevity']).toBeGreaterThan(0);
    expect('guard' in parts).toBe(kind === 'harmful');
  }
  expect(new Set(harmful.map(({ parts }) => parts['guard'])).size).toBeGreaterThan(1);
  expect(figures['rewards/guard/mean']).toBeGreaterThan(0);
  expect(figures['rewards/own/brevity/mean']).toBeLessThan(1);
  expect(seconds['guard']).toBeGreaterThan(0);
  expect(record.evaluations['after']!.figures).toHaveProperty('harm/harmful');
  const report = new TextDecoder().decode(await installation.store.getBytes(record.report!));
  expect(report).toContain('unsafe by the guard model: harmful requests');
  expect(report).not.toContain('unsafe by the guard model: plain');

  const again = await installation.train('again', { configuration });
  expect(again.record.policy!.adapter!.sha256).toBe(record.policy!.adapter!.sha256);
  const guarded = (await installation.ledger('again')).filter(({ stage }) => stage === 'guardChains');
  expect(guarded.length).toBeGreaterThan(0);
  expect(guarded.every(({ cached }) => cached === true)).toBe(true);

  // Cost, latency and verdicts of a shard stand in its step.
  const manifests = await Promise.all(
    guarded.map(async ({ key }) => (await installation.store.getDocument<StepManifest>(`steps/${key}.json`))!.value),
  );
  // Shards of harmless requests alone ask nothing.
  const manifest = manifests.find(({ figures }) => (figures['guard/asked'] as number) > 0)!;
  expect(manifest.figures['guard/unscorable']).toBe(0);
  expect(manifest.figures['guard/mean_latency_ms']).toBeGreaterThan(0);
  const verdicts = await readJson<(GuardVerdict | null)[]>(installation.store, manifest.outputs['verdicts']!);
  expect(verdicts.every((verdict) => verdict === null || (verdict.unsafe! > 0 && verdict.unsafe! < 1))).toBe(true);
  const model = await readJson<ModelManifest>(installation.store, record.policy!.model);
  expect((manifest.inputs as { model: string }).model).not.toBe(model.digest);
}, 600_000);

test('a function that can not say waits for the operator, naming itself; words that begin alike stop before any chain', async () => {
  const broken = { ...own, code: 'export default () => { throw new Error("oh dear") }' };
  const throwing = tinyConfiguration(configuration.model.source, { rewards: { own: [broken] } });
  const { outcome } = await installation.train('broken', { configuration: throwing });
  expect(outcome).toMatchObject({ state: 'waiting' });
  expect(outcome.cause).toMatch(/rewards.own "brevity" has no value for \d+ of \d+ chains: it threw: oh dear/);

  const alike = tinyConfiguration(configuration.model.source, {
    rewards: { guard: 1 },
    guardModel: { ...guard, words: { safe: 'sound', unsafe: 'sinister' } },
  });
  const stopped = await installation.train('alike', { configuration: alike });
  expect(stopped.outcome).toMatchObject({ state: 'waiting' });
  expect(stopped.outcome.cause).toMatch(/"sound" and "sinister" begin with the same token/);
  expect((await installation.ledger('alike')).some(({ stage }) => stage === 'generateChains')).toBe(false);
}, 600_000);
