import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Sampler } from '../../engine/generate/sampler.ts';
import { openSampler } from '../../engine/generate/sampler.ts';
import { sampleSequences } from '../../engine/generate/sampleSequences.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import type { SampledSequence, SamplePrompt } from '../../engine/policy.ts';
import { testDevice } from '../gpu/testDevice.ts';
import { absoluteError, describeCases, goldenArrays, hasCases } from './golden.ts';
import { smollm2Gguf } from './ggufModel.ts';

let cachePath: string;
beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'generate-'))));
afterAll(() => rmSync(cachePath, { recursive: true }));

const open = async (modelPath: string) =>
  openSampler(await convertedWeights({ modelPath, modelDigest: modelPath }, cachePath), undefined, {
    threads: 2,
    device: testDevice,
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

describeCases<GenerateCase>('greedy', 'greedy decoding', (golden) => {
  const { info } = golden;

  it.each(CUTS)('same tokens and log-probabilities, %s', async (_cut, prefixLength) => {
    const expected = await goldenArrays(golden);
    const sampler = await open(join(golden.folder, info.model_dir));
    const prompts = asPrompts(info.prompts, prefixLength);
    const longest = Math.max(...info.tokens.map((row) => row.length));
    const free = await greedy(sampler, prompts, longest);
    expect(tokensOf(free)).toEqual(info.tokens);
    const logProbs = free.flatMap((sequence) => sequence.logProbs);
    expect(absoluteError(logProbs, await expected.read('logprobs_f64'))).toBeLessThan(
      info.tolerance.logprobs.suggested_atol,
    );

    const stopped = await greedy(sampler, prompts, longest, [info.with_eos.eos_token_id]);
    const rows = stopped.map(({ tokens, finishReason }) => ({ tokens, finish_reason: finishReason }));
    expect(rows).toEqual(info.with_eos.rows);
    await sampler.release();
    await expected.close();
  });
});

interface ForwardCase {
  model_dir: string;
  batch: { rows: number[][] };
  tolerance: { logprobs: { suggested_atol: number } };
}

describeCases<ForwardCase>('forward', 'the sampler on every beginning of a row', (golden) => {
  const { info } = golden;
  const { suggested_atol: tolerance } = info.tolerance.logprobs;

  it.each(CUTS)('draws the most likely next token, %s', async (_cut, prefixLength) => {
    const expected = await goldenArrays(golden);
    const logits = await expected.read('logits_f64');
    const sampler = await open(join(golden.folder, info.model_dir));
    const size = sampler.config.vocabularySize;
    const beginnings = info.batch.rows
      .flatMap((row) => row.map((_, i) => row.slice(0, i + 1)))
      .map((tokens, i) => ({ tokens, likely: mostLikely(logits.subarray(i * size, (i + 1) * size)) }))
      // Of a near-tie rounding decides.
      .filter(({ likely }) => likely.margin > 10 * tolerance);
    expect(beginnings.length).toBeGreaterThan(0);
    const prompts = asPrompts(
      beginnings.map(({ tokens }) => tokens),
      prefixLength,
    );
    const sequences = await greedy(sampler, prompts, 1);
    expect(tokensOf(sequences).flat()).toEqual(beginnings.map(({ likely }) => likely.token));
    const logProbs = sequences.map((sequence) => sequence.logProbs[0]!);
    const wanted = beginnings.map(({ likely }) => likely.logProb);
    expect(absoluteError(logProbs, wanted)).toBeLessThan(tolerance);
    await sampler.release();
    await expected.close();
  });

  it.each(CUTS)('decodes what prefill of the same tokens says, %s', async (_cut, prefixLength) => {
    const sampler = await open(join(golden.folder, info.model_dir));
    const start = info.batch.rows.at(-1)!.slice(0, 4);
    const length = Math.min(30, sampler.config.contextLength - start.length);
    const [decoded] = await greedy(sampler, asPrompts([start], prefixLength), length);
    const grown = decoded!.tokens.map((_, i) => [...start, ...decoded!.tokens.slice(0, i)]);
    const prefilled = await greedy(
      sampler,
      asPrompts(grown, () => 0),
      1,
    );
    expect(tokensOf(prefilled).flat()).toEqual(decoded!.tokens);
    const logProbs = prefilled.map((sequence) => sequence.logProbs[0]!);
    expect(absoluteError(decoded!.logProbs, logProbs)).toBeLessThan(tolerance);
    await sampler.release();
  });
});

/** The GGUF file of SmolLM2-135M-Instruct: named, cached or fetched; where there is no way to it, the reason has been printed. */
const smollm2 = hasCases('realGreedy') ? await smollm2Gguf() : undefined;

interface Smollm2Case {
  end_token: number;
  rows: { prompt_ids: number[]; tokens: number[]; logprobs: number[]; margins: number[] }[];
}

describeCases<Smollm2Case>('realGreedy', 'SmolLM2-135M-Instruct, greedy', (golden) => {
  it.skipIf(!smollm2)('same tokens as Transformers up to the first near-tie', { timeout: 300_000 }, async () => {
    const { rows, end_token } = golden.info;
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

/** The largest logit's token, its log-probability, and how far the runner-up's logit is. */
function mostLikely(logits: Float64Array): { token: number; logProb: number; margin: number } {
  let token = 0;
  logits.forEach((logit, i) => void (logit > logits[token]! && (token = i)));
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - logits[token]!), 0);
  const runnerUp = logits.reduce((most, logit, i) => (i === token ? most : Math.max(most, logit)), -Infinity);
  return { token, logProb: -Math.log(sum), margin: logits[token]! - runnerUp };
}
