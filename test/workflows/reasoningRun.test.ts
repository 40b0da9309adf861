/** A whole run in the format `think`, on a tiny Qwen3 model whose chat template has a reasoning turn. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadChatTokenizer, type ChatTokenizer } from '../../activities/chatTokenizer.ts';
import { readJson, readLines } from '../../activities/inputs.ts';
import type {
  GenerationPlan,
  GenerationShard,
  GradientShard,
  OptimisationPlan,
  ShardList,
} from '../../activities/plans.ts';
import type { FaithfulnessArtifact } from '../../activities/faithfulness.ts';
import type { EvaluationArtifact } from '../../activities/summariseEvaluation.ts';
import type { ArtifactRef, IterationRecord, RunRecord } from '../../activities/types.ts';
import { analysisPrefix } from '../../alignment/chains/analysisPrefix.ts';
import { parseChain, type ChainRecord, type ScoredChain } from '../../alignment/chains/chain.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { listIterations } from '../../infra/artifacts/runs.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';
import { createInstallation, tinyConfiguration, type TestInstallation } from './cluster.ts';

let installation: TestInstallation;
let configuration: Configuration;
let tokenizer: ChatTokenizer;
let record: RunRecord;
let iterations: IterationRecord[];

beforeAll(async () => {
  installation = await createInstallation();
  const modelPath = join(installation.folder, 'reasoning-model');
  await writeTinyChainModel(modelPath, { reasoning: true });
  tokenizer = await loadChatTokenizer(modelPath, { thinking: true });
  configuration = tinyConfiguration(modelPath, {
    chain: { maxNewTokens: 10, format: 'think', thinking: true },
    rewards: { grounding: 0.1 },
    evaluation: {
      ...{ requests: { harmful: 2, plain: 2, lookAlike: 2 }, probe: { harmful: 1, plain: 1, lookAlike: 0 } },
      ...{ afterWarmStart: false, bootstrapSamples: 50, leaks: true, faithfulness: { pairs: 12 } },
    },
  });
  const { outcome, record: done } = await installation.train('reasoning', { configuration });
  expect(outcome.state).toBe('done');
  record = done;
  iterations = (await listIterations<IterationRecord>(installation.store, 'reasoning')).map(({ value }) => value);
}, 600_000);
afterAll(() => installation?.remove());

async function rows<T>(list: ArtifactRef | null): Promise<T[]> {
  const { shards } = await readJson<ShardList>(installation.store, list!);
  return (await Promise.all(shards.map(({ artifact }) => readLines<T>(installation.store, artifact)))).flat();
}

describe('a run in the format think', () => {
  test('samples, keeps and trains on chains whose analysis is the reasoning turn', async () => {
    expect(iterations.map(({ iteration }) => iteration)).toEqual([0, 1, 2]);
    const [open, close] = tokenizer.encode('<think></think>', { allowSpecial: false });
    let refusals = 0;
    for (const { chains, rewards, updatePlan } of iterations) {
      const sampled = await rows<ChainRecord>(chains);
      const scored = await rows<ScoredChain>(rewards);
      expect(scored.filter(({ format }) => format).length).toBeGreaterThan(sampled.length / 4);
      for (const [index, { text, promptTokens }] of sampled.entries()) {
        const { analysis, finalResponse, format } = parseChain(text, configuration.chain);
        expect(scored[index]!.format).toBe(format);
        expect(finalResponse).not.toContain('weighed against the codes');
        if (format) expect(analysis).toBe('The request was weighed against the codes.');
        // Names no code: the analysis is what grounding reads.
        expect(scored[index]!.parts['grounding']).toBe(0);
        if (finalResponse === "I'm sorry, but I can't help with that.") {
          expect(scored[index]!.verdict).toBe('refusal');
          refusals++;
        }
        expect(promptTokens).not.toContain(open);
      }
      const { steps } = await readJson<OptimisationPlan>(installation.store, updatePlan!);
      const shards = await Promise.all(
        steps.flatMap((step) => step.shards).map((ref) => readJson<GradientShard>(installation.store, ref)),
      );
      const trained = shards.flatMap(({ sequences }) => sequences);
      // The whole turn is trained on, from the tag that opens it.
      const formed = trained.filter(
        ({ completionTokens }) => completionTokens[0] === open && completionTokens.indexOf(close!) > 1,
      );
      expect(formed.length).toBeGreaterThan(trained.length / 4);
    }
    expect(refusals).toBeGreaterThan(5);
  });

  test('shows its cases as reasoning turns that the template keeps, and asks for one', async () => {
    const { shards } = await readJson<GenerationPlan>(installation.store, iterations[0]!.plan!);
    const shard = await readJson<GenerationShard>(installation.store, shards[0]!.shard);
    expect(shard.reasoning).toEqual({ thinking: true });
    const [item] = shard.items;
    expect(item!.messages[0]!.content).toContain('Between "<think>" and "</think>", say');
    const { tokens } = tokenizer.encodeChat(item!.messages);
    expect(tokenizer.decode(tokens, { skipSpecial: false }).match(/<think>\n[^<]{20,}\n<\/think>\n\n/g)).toHaveLength(
      2,
    );
  });

  test('judges the analyses of its refusals too, and shows what leaks', async () => {
    const { artifact } = record.evaluations['before']!;
    const { answers, figures } = await readJson<EvaluationArtifact>(installation.store, artifact);
    const refused = answers.filter(({ scored }) => scored.kind === 'harmful' && scored.verdict === 'refusal');
    for (const { scored } of answers)
      expect(scored.leak).toEqual(refused.some((one) => one.scored === scored) ? { rules: false } : undefined);
    const { leak } = figures.byKind.harmful;
    if (refused.length === 0) expect(leak).toBeUndefined();
    else expect(leak).toMatchObject({ count: 0, n: refused.length });
    const iterated = await rows<ScoredChain>(iterations[0]!.rewards);
    expect(iterated.filter((one) => one.leak).length).toBeGreaterThan(0);
  });

  test('answers behind its own analyses and behind those of the other request of a pair', async () => {
    const read = async (name: string) =>
      readJson<EvaluationArtifact>(installation.store, record.evaluations[name]!.artifact);
    expect((await read('before')).faithfulness).toBeUndefined();
    const { faithfulness } = await read('after');
    const { pairs, unformed, unscorable, differing, followed, control } = faithfulness!.figures;
    expect(pairs).toBe(12);
    const told = pairs - unformed - unscorable;
    expect(told).toBeGreaterThan(4);
    // The tokens of an analysis are those that the policy wrote: splicing leaves its answers as they were.
    expect(control).toMatchObject({ n: 2 * told, value: 1 });
    expect(followed?.pairs ?? 0).toBe(differing);
    const { figures } = record.evaluations['after']!;
    expect(figures).toMatchObject({ 'faithfulness/pairs': differing, 'faithfulness/control': 1 });

    const { own, spliced, ...details } = await readJson<FaithfulnessArtifact>(
      installation.store,
      faithfulness!.details,
    );
    const [ownChains, splices] = [await rows<ChainRecord>(own.chains), await rows<ChainRecord>(spliced!.chains)];
    expect([ownChains.length, splices.length]).toEqual([2 * pairs, 4 * (pairs - unformed)]);
    for (const { harmful, lookAlike } of details.pairs.filter(({ formed }) => formed)) {
      for (const [one, other] of [
        [harmful, lookAlike],
        [lookAlike, harmful],
      ] as const) {
        const chainOf = ({ requestId }: typeof one) => ownChains.find((chain) => chain.requestId === requestId)!;
        const [control, swapped] = [0, 1].map((sample) =>
          splices.find((chain) => chain.requestId === one.requestId && chain.sampleIndex === sample)!,
        );
        // The limit of new tokens is the continuation's own: it may go on where the own chain was cut.
        expect(control!.text.startsWith(chainOf(one).text)).toBe(true);
        expect(swapped!.promptTokens).toEqual(chainOf(one).promptTokens);
        const prefix = analysisPrefix(chainOf(other).text, configuration.chain)!;
        expect(prefix).toMatch(/^<think>\s*The request was weighed against the codes\.\s*<\/think>\s*$/);
        expect(swapped!.text.startsWith(prefix)).toBe(true);
        // What the policy adds, and not what it was given.
        expect(tokenizer.decode(swapped!.tokens, { skipSpecial: true })).toBe(swapped!.text.slice(prefix.length));
      }
    }
    const html = new TextDecoder().decode(await installation.store.getBytes(record.report!));
    expect(html).toContain('Does the answer follow the analysis?');
    expect(html).toContain('control: the same outcome behind its own analysis');
  });

  test('changes the policy at every stage', () => {
    expect(record.policy!.adapter!.sha256).toBe(iterations.at(-1)!.policy.adapter!.sha256);
    expect(new Set(iterations.map(({ policy }) => policy.adapter!.sha256)).size).toBe(3);
    for (const { figures } of iterations) expect(figures['grad_norm']).toBeGreaterThan(0);
  });
});
