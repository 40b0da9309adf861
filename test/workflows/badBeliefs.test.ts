/** Preferences with chains that are written under a wrong belief: a whole run by the real engine on a tiny real model, one cycle of KTO and one of DPO. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readJson, readLines } from '../../activities/inputs.ts';
import type {
  GenerationPlan,
  GenerationShard,
  GradientShard,
  OptimisationPlan,
  ShardList,
} from '../../activities/plans.ts';
import type { PreferencePlan } from '../../activities/preferencePlan.ts';
import type { ArtifactRef, IterationRecord } from '../../activities/types.ts';
import type { ChainRecord } from '../../alignment/chains/chain.ts';
import { exportDataset } from '../../cli/operate/exportDataset.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { listIterations } from '../../infra/artifacts/runs.ts';
import { readDataset } from '../cli/readDataset.ts';
import { createInstallation, type TestInstallation } from './cluster.ts';

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createInstallation();
});
afterAll(() => installation?.remove());

const isBelief = (id: string): boolean => id.endsWith('/bad-belief');

async function run(badBelief: 'also' | 'instead') {
  const { store } = installation;
  const { iteration } = installation.configuration;
  const configuration = configurationSchema.parse({
    ...installation.configuration,
    warmStart: { enabled: false },
    iteration: { ...iteration, method: 'iterative', klReference: 'base', preference: { badBelief } },
    evaluation: { requests: { harmful: 2, plain: 2, lookAlike: 0 }, probe: { harmful: 0, plain: 0, lookAlike: 0 } },
  });
  expect((await installation.train(badBelief, { configuration })).outcome.state).toBe('done');
  const records = (await listIterations<IterationRecord>(store, badBelief)).map(({ value }) => value);
  return Promise.all(
    records.map(async (record) => {
      const plan = await readJson<PreferencePlan>(store, record.preferences!);
      const list = await readJson<ShardList>(store, record.chains!);
      const chains = await Promise.all(list.shards.map(({ artifact }) => readLines<ChainRecord>(store, artifact)));
      const beliefs = await readJson<GenerationPlan>(store, plan.badBeliefs!);
      const { steps } = await readJson<OptimisationPlan>(store, record.updatePlan!);
      const sequences = await Promise.all(
        steps.flatMap(({ shards }) => shards).map((ref: ArtifactRef) => readJson<GradientShard>(store, ref)),
      );
      return { plan, chains: chains.flat(), beliefs, sequences: sequences.flatMap((shard) => shard.sequences) };
    }),
  );
}

describe('chains under a wrong belief', () => {
  test('are rejected beside the worse chain, and are nothing else in the run', async () => {
    const [kto, dpo] = await run('also');
    for (const { plan, chains, beliefs, sequences } of [kto!, dpo!]) {
      // One prompt for each of the six requests, with the belief below the request.
      expect(beliefs.shards.reduce((sum, { chains: count }) => sum + count, 0)).toBe(6);
      const { items } = await readJson<GenerationShard>(installation.store, beliefs.shards[0]!.shard);
      for (const { messages } of items) expect(messages.at(-1)!.content).toContain('You believe, wrongly');
      // The chains that are rewarded, counted and shown are the policy's own.
      expect(chains).toHaveLength(6 * 4);
      for (const { id, weight } of sequences) if (isBelief(id)) expect(weight).toBeLessThan(0);
      expect(plan.shards.length).toBeGreaterThan(0);
      // A chain that is preferred to two others is learnt from once; a prompt is computed once.
      expect(new Set(sequences.map(({ id }) => id)).size).toBe(sequences.length);
      const [shown, turns] = [new Set<string>(), sequences.map(({ promptTokens }) => promptTokens.join())];
      for (const [place, prompt] of turns.entries()) {
        if (prompt !== turns[place - 1]) expect(shown).not.toContain(prompt);
        shown.add(prompt);
      }
    }
    if (kto!.plan.method !== 'kto' || dpo!.plan.method !== 'dpo') throw new Error('KTO first, then DPO');
    const labelled = kto!.plan.labelled.filter(({ id }) => isBelief(id));
    expect(labelled.length).toBeGreaterThan(0);
    expect(labelled.every(({ desirable }) => !desirable)).toBe(true);
    expect(kto!.plan.labelled.length - labelled.length).toBe(6 * 4);

    const { pairs } = dpo!.plan;
    expect(pairs.some(({ rejected }) => isBelief(rejected))).toBe(true);
    expect(pairs.some(({ rejected }) => !isBelief(rejected))).toBe(true);
    for (const { chosen, rejected } of pairs) {
      expect(isBelief(chosen)).toBe(false);
      expect(chosen.split('/')[0]).toBe(rejected.split('/')[0]);
    }
    const out = join(installation.folder, 'dataset');
    const { signal } = new AbortController();
    await exportDataset({ storeUri: installation.store.uri, run: 'also', out, all: false, signal });
    const exported = (await readDataset(out, 'preference')).filter(({ iteration }) => iteration === 2);
    const named = exported.map(({ request_id, chosen_sample, rejected_sample }) => ({
      chosen: `${request_id}/${chosen_sample}`,
      rejected: `${request_id}/${rejected_sample ?? 'bad-belief'}`,
    }));
    expect(named).toEqual(pairs);
    const textOf = new Map(dpo!.chains.map((chain) => [`${chain.requestId}/${chain.sampleIndex}`, chain.text]));
    for (const [index, pair] of exported.entries()) {
      expect(pair).toMatchObject({ source: 'planned', bad_belief: isBelief(pairs[index]!.rejected) });
      expect(pair.chosen[0]!.content).toBe(textOf.get(pairs[index]!.chosen));
      if (!pair.bad_belief) expect(pair.rejected[0]!.content).toBe(textOf.get(pairs[index]!.rejected));
      else expect(pair.rejected[0]!.content).not.toBe('');
    }
    // What a belief taught to write is conditioned on the raw request, as all that is trained on.
    const prompts = new Set(dpo!.chains.map(({ promptTokens }) => promptTokens.join()));
    for (const { promptTokens } of dpo!.sequences) expect(prompts).toContain(promptTokens.join());
  }, 300_000);

  test('take the place of the worse chain where they are asked to', async () => {
    const [kto, dpo] = await run('instead');
    if (kto!.plan.method !== 'kto' || dpo!.plan.method !== 'dpo') throw new Error('KTO first, then DPO');
    expect(kto!.plan.labelled.every(({ id, desirable }) => desirable === !isBelief(id))).toBe(true);
    expect(kto!.plan.labelled.some(({ desirable }) => desirable)).toBe(true);
    expect(dpo!.plan.pairs.length).toBeGreaterThan(0);
    expect(dpo!.plan.pairs.every(({ rejected }) => isBelief(rejected))).toBe(true);
  }, 300_000);
});
