import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Sampler } from '../../engine/generate/sampler.ts';
import { openSampler } from '../../engine/generate/sampler.ts';
import { sampleSequences } from '../../engine/generate/sampleSequences.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import type { SampledSequence, SamplePrompt } from '../../engine/policy.ts';
import { absoluteError, describeGolden, goldenArrays, goldenCase, GOLDEN_DIR } from './golden.ts';
import { smollm2Gguf } from './ggufModel.ts';

let cachePath: string;
beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'generate-'))));
afterAll(() => rmSync(cachePath, { recursive: true }));

const open = async (modelPath: string) =>
  openSampler(await convertedWeights({ modelPath, modelDigest: modelPath }, cachePath), undefined, {
    threads: 2,
    device: 'cpu',
  });

const asPrompts = (tokens: number[][], prefixLength: (tokens: number[]) => number): SamplePrompt[] =>
  tokens.map((row, i) => ({ id: `${i}`, tokens: row, prefixLength: prefixLength(row), seeds: ['unused'] }));

const greedy = (sampler: Sampler, prompts: SamplePrompt[], maxNewTokens: number, stopTokens: number[] = []) =>
  sampleSequences(
    sampler,
    prompts,
    { temperature: 0, maxNewTokens, stopTokens },
    { decodeBatch: 2, prefillTokens: 64 },
  );

/** Ways to cut a prompt into shared prefix and rest. */
const CUTS: [string, (tokens: number[]) => number][] = [
  ['without a prefix', () => 0],
  ['with half of the prompt as prefix', (tokens) => Math.floor(tokens.length / 2)],
  ['with the whole prompt as prefix', (tokens) => tokens.length],
];

interface GenerateCase {
  model_dir: string;
  prompts: number[][];
  tokens: number[][];
  with_eos: { eos_token_id: number; rows: { tokens: number[]; finish_reason: string }[] };
  tolerance: { logprobs: { suggested_atol: number } };
}

describeGolden('greedy decoding against Transformers', () => {
  it.each(['llama', 'smollm_tied', 'qwen2', 'qwen3'])('%s: same tokens and log-probabilities', async (name) => {
    const golden = goldenCase<GenerateCase>(`generate/${name}`);
    const expected = await goldenArrays(`generate/${name}`);
    const logProbs = await expected.read('logprobs_f64');
    const sampler = await open(join(GOLDEN_DIR, 'generate', name, golden.model_dir));
    for (const [cut, prefixLength] of CUTS) {
      const prompts = asPrompts(golden.prompts, prefixLength);
      const free = await greedy(sampler, prompts, 40);
      expect(tokensOf(free), cut).toEqual(golden.tokens);
      expect(
        absoluteError(
          free.flatMap((sequence) => sequence.logProbs),
          logProbs,
        ),
        cut,
      ).toBeLessThan(golden.tolerance.logprobs.suggested_atol);

      const stopped = await greedy(sampler, prompts, 40, [golden.with_eos.eos_token_id]);
      const rows = stopped.map(({ tokens, finishReason }) => ({ tokens, finish_reason: finishReason }));
      expect(rows, cut).toEqual(golden.with_eos.rows);
    }
    await sampler.release();
    await expected.close();
  });
});

interface ForwardCase {
  batch: { rows: number[][]; row_offsets?: number[] };
  tolerance: { logprobs: { suggested_atol: number } };
}

describeGolden('the most likely next token after every part of a sequence', () => {
  // llama_rope_llama3, mistral and the sliding window are not among the generation cases.
  it.each(['llama_rope_llama3', 'mistral', 'mistral_sliding_window', 'qwen3'])('%s', async (name) => {
    const golden = goldenCase<ForwardCase>(`forward/${name}`);
    const expected = await goldenArrays(`forward/${name}`);
    const logits = await expected.read('logits_f64');
    const sampler = await open(join(GOLDEN_DIR, 'forward', name));
    const size = sampler.config.vocabularySize;
    const beginnings = golden.batch.rows.flatMap((row) => row.map((_, i) => row.slice(0, i + 1)));
    const wanted = beginnings.map((_, i) => mostLikely(logits.subarray(i * size, (i + 1) * size)));
    for (const [cut, prefixLength] of CUTS) {
      const sequences = await greedy(sampler, asPrompts(beginnings, prefixLength), 1);
      expect(tokensOf(sequences).flat(), cut).toEqual(wanted.map(({ token }) => token));
      expect(
        absoluteError(
          sequences.map(({ logProbs }) => logProbs[0]!),
          wanted.map(({ logProb }) => logProb),
        ),
        cut,
      ).toBeLessThan(golden.tolerance.logprobs.suggested_atol);
    }
    await sampler.release();
    await expected.close();
  });

  it('decoding with a sliding window sees what prefill sees', async () => {
    const golden = goldenCase<ForwardCase>('forward/mistral_sliding_window');
    const sampler = await open(join(GOLDEN_DIR, 'forward', 'mistral_sliding_window'));
    const start = golden.batch.rows[0]!.slice(0, 4);
    for (const [cut, prefixLength] of CUTS) {
      const [decoded] = await greedy(sampler, asPrompts([start], prefixLength), 30);
      const grown = decoded!.tokens.map((_, i) => [...start, ...decoded!.tokens.slice(0, i)]);
      const prefilled = await greedy(
        sampler,
        asPrompts(grown, () => 0),
        1,
      );
      expect(tokensOf(prefilled).flat(), cut).toEqual(decoded!.tokens);
      expect(
        absoluteError(
          decoded!.logProbs,
          prefilled.map(({ logProbs }) => logProbs[0]!),
        ),
        cut,
      ).toBeLessThan(1e-5);
    }
    await sampler.release();
  });
});

/** The GGUF file of SmolLM2-135M-Instruct: named, cached or fetched; where there is no way to it, the reason has been printed. */
const smollm2 = existsSync(GOLDEN_DIR) ? await smollm2Gguf() : undefined;

interface Smollm2Case {
  end_token: number;
  rows: { prompt_ids: number[]; tokens: number[]; logprobs: number[]; margins: number[] }[];
}

describeGolden('SmolLM2-135M-Instruct, greedy', () => {
  it.skipIf(!smollm2)('same tokens as Transformers up to the first near-tie', { timeout: 300_000 }, async () => {
    const { rows, end_token } = goldenCase<Smollm2Case>('generate/smollm2_greedy');
    const sampler = await open(smollm2!);
    const longest = Math.max(...rows.map(({ tokens }) => tokens.length));
    const sequences = await sampleSequences(
      sampler,
      rows.map((row, i) => ({
        id: `${i}`,
        tokens: row.prompt_ids,
        prefixLength: sharedLength(rows),
        seeds: ['unused'],
      })),
      { temperature: 0, maxNewTokens: longest, stopTokens: [end_token] },
      { decodeBatch: 8, prefillTokens: 1024 },
    );
    rows.forEach((row, i) => {
      const tie = row.margins.findIndex((margin) => margin < 1e-3);
      const sure = tie < 0 ? row.tokens.length : tie;
      expect(sequences[i]!.tokens.slice(0, sure)).toEqual(row.tokens.slice(0, sure));
      expect(absoluteError(sequences[i]!.logProbs.slice(0, sure), row.logprobs.slice(0, sure))).toBeLessThan(1e-3);
    });
    await sampler.release();
  });
});

const tokensOf = (sequences: SampledSequence[]) => sequences.map(({ tokens }) => tokens);

function sharedLength(rows: { prompt_ids: number[] }[]): number {
  const first = rows[0]!.prompt_ids;
  const end = first.findIndex((token, i) => rows.some(({ prompt_ids }) => prompt_ids[i] !== token));
  return end < 0 ? first.length : end;
}

function mostLikely(logits: Float64Array): { token: number; logProb: number } {
  let token = 0;
  logits.forEach((logit, i) => void (logit > logits[token]! && (token = i)));
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - logits[token]!), 0);
  return { token, logProb: -Math.log(sum) };
}
