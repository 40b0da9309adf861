/** Log-probabilities of named tokens after a prompt: what a classifier is read by. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { logProbsOf } from '../../../engine/generate/processedDistribution.ts';
import { sampleSequences } from '../../../engine/generate/sampleSequences.ts';
import { openSampler, type Sampler } from '../../../engine/generate/sampler.ts';
import { convertedWeights } from '../../../engine/model/weightFile.ts';
import type { SamplePrompt, SamplingOptions } from '../../../engine/policy.ts';
import { TINY_CONFIG, writeRandomModel } from './tinyModel.ts';

let folder: string;
let sampler: Sampler;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'first-tokens-'));
  const modelPath = await writeRandomModel(join(folder, 'model'), TINY_CONFIG);
  sampler = await openSampler(await convertedWeights({ modelPath, modelDigest: 'tiny' }, folder), undefined, {
    ...{ threads: 1, device: 'cpu' },
  });
});
afterAll(async () => {
  await sampler.release();
  rmSync(folder, { recursive: true });
});

const limits = { decodeBatch: 4, prefillTokens: 100 };
const options: SamplingOptions = { temperature: 0, maxNewTokens: 1, stopTokens: [], firstTokens: [5, 7] };
const prompt = (id: string, start: number): SamplePrompt => ({
  ...{ id, prefixLength: 3, seeds: [''] },
  tokens: [1, 2, 3, ...Array.from({ length: 4 }, (_, i) => (start + 11 * i) % 300)],
});

test('log-softmax by hand; a logit that is no number leaves none of them', () => {
  const [one, three] = logProbsOf(Float32Array.of(0, Math.log(3)), [0, 1]);
  expect(one).toBeCloseTo(Math.log(1 / 4), 6);
  expect(three).toBeCloseTo(Math.log(3 / 4), 6);
  expect(logProbsOf(Float32Array.of(0, NaN, 1), [0, 2])).toEqual([NaN, NaN]);
  expect(logProbsOf(Float32Array.of(0, -Infinity, 1), [0, 2])).toEqual([NaN, NaN]);
});

test('they add up to 1 over the vocabulary, and the likeliest is the one that greedy decoding draws', async () => {
  const all = Array.from({ length: TINY_CONFIG.vocabularySize }, (_, token) => token);
  const [sequence] = await sampleSequences(sampler, [prompt('a', 9)], { ...options, firstTokens: all }, limits);
  const { firstLogProbs, tokens, logProbs } = sequence!;
  expect(firstLogProbs!.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 10);
  expect(firstLogProbs!.indexOf(Math.max(...firstLogProbs!))).toBe(tokens[0]);
  expect(firstLogProbs![tokens[0]!]).toBeCloseTo(logProbs[0]!, 4);
});

test('a batch changes nothing; without them none are told', async () => {
  const prompts = ['a', 'b', 'c'].map((id, index) => prompt(id, 40 * index));
  const together = await sampleSequences(sampler, prompts, options, limits);
  expect(new Set(together.map(({ firstLogProbs }) => firstLogProbs!.join())).size).toBe(3);
  for (const [index, one] of prompts.entries()) {
    const [alone] = await sampleSequences(sampler, [one], options, limits);
    expect(alone!.firstLogProbs).toEqual(together[index]!.firstLogProbs);
  }
  const { firstTokens: _, ...plain } = options;
  expect((await sampleSequences(sampler, prompts, plain, limits))[0]).not.toHaveProperty('firstLogProbs');
});

test('a prompt whose probabilities are not finite is told by NaN, and hinders no other', async () => {
  const broken: Sampler = {
    ...sampler,
    async forward(input) {
      const result = await sampler.forward(input);
      if (input.draws.length === 0) return result;
      result.logits![0]!.fill(NaN);
      result.drawn[0] = { token: 0, logProb: NaN };
      return { ...result, nonFinite: 'here' };
    },
  };
  const [first, second] = await sampleSequences(broken, [prompt('a', 9), prompt('b', 70)], options, limits);
  const [whole] = await sampleSequences(sampler, [prompt('b', 70)], options, limits);
  expect(first!.firstLogProbs).toEqual([NaN, NaN]);
  expect(second!.firstLogProbs).toEqual(whole!.firstLogProbs);
});

test.each([
  [{ temperature: 1 }, /temperature 0, maxNewTokens 1/],
  [{ maxNewTokens: 2 }, /temperature 0, maxNewTokens 1/],
  [{ repetitionPenalty: 1.2 }, /no processors/],
  [{ firstTokens: [300] }, /firstTokens: 300 is not in the vocabulary of 300/],
])('refuses %j', async (change, message) => {
  await expect(sampleSequences(sampler, [prompt('a', 9)], { ...options, ...change }, limits)).rejects.toMatchObject({
    kind: 'invalidInput',
    message,
  });
});
