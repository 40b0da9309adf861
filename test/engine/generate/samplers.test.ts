import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sampleSequences } from '../../../engine/generate/sampleSequences.ts';
import type { Sampler } from '../../../engine/generate/sampler.ts';
import { openSampler } from '../../../engine/generate/sampler.ts';
import { convertedWeights } from '../../../engine/model/weightFile.ts';
import type { SamplePrompt, SamplingOptions } from '../../../engine/policy.ts';
import { TINY_CONFIG, writeRandomModel } from './tinyModel.ts';

let folder: string;
let modelPath: string;
let sampler: Sampler;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'samplers-'));
  modelPath = await writeRandomModel(join(folder, 'model'), TINY_CONFIG);
  // Every token is two characters, neighbours share one: 'ab', 'bc', ...
  const letter = (id: number) => String.fromCharCode(0x4e00 + id);
  const vocab = Object.fromEntries(Array.from({ length: 300 }, (_, id) => [letter(id) + letter(id + 1), id]));
  const model = { type: 'BPE', vocab, merges: [] };
  const steps = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: { type: 'Fuse' } };
  writeFileSync(
    join(modelPath, 'tokenizer.json'),
    JSON.stringify({ version: '1.0', added_tokens: [], ...steps, model }),
  );
  const weights = await convertedWeights({ modelPath, modelDigest: 'tiny' }, folder);
  sampler = await openSampler(weights, undefined, { threads: 2, device: 'cpu' });
});
afterAll(async () => {
  await sampler.release();
  rmSync(folder, { recursive: true });
});

const prompts: SamplePrompt[] = [3, 9, 40, 1].map((length, i) => ({
  id: `${i}`,
  tokens: Array.from({ length }, (_, place) => (place * 37 + i * 11) % 300),
  prefixLength: Math.min(i, 2, length),
  seeds: [`${i}/a`, `${i}/b`],
}));
const limits = { decodeBatch: 8, prefillTokens: 512 };
const plain: SamplingOptions = { temperature: 0.9, maxNewTokens: 20, stopTokens: [7, 77, 177] };
const all = { ...plain, topK: 60, topP: 0.9, minP: 0.02, repetitionPenalty: 1.2, minNewTokens: 3 };

it('a row does not depend on its mates or the size of the batch with all options on', async () => {
  const together = await sampleSequences(sampler, prompts, all, limits);
  for (const decodeBatch of [1, 3])
    expect(await sampleSequences(sampler, prompts, all, { decodeBatch, prefillTokens: 50 })).toEqual(together);
  for (const [i, prompt] of prompts.entries())
    expect(await sampleSequences(sampler, [prompt], all, limits)).toEqual(together.slice(2 * i, 2 * i + 2));
  const single = await sampleSequences(sampler, [{ ...prompts[2]!, seeds: ['2/b'] }], all, limits);
  expect(single[0]!.tokens).toEqual(together[5]!.tokens);
  expect(single[0]!.logProbs).toEqual(together[5]!.logProbs);
});

it('neutral values change no bit of plain sampling', async () => {
  const neutral = { ...plain, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, minNewTokens: 0, stopStrings: [] };
  expect(await sampleSequences(sampler, prompts, neutral, limits)).toEqual(
    await sampleSequences(sampler, prompts, plain, limits),
  );
});

it('draws the tokens of plain sampling where the options take nothing away', async () => {
  const processed = await sampleSequences(sampler, prompts, { ...plain, topK: 300 }, limits);
  const free = await sampleSequences(sampler, prompts, plain, limits);
  expect(processed.map(({ tokens }) => tokens)).toEqual(free.map(({ tokens }) => tokens));
  processed.forEach(({ logProbs }, i) =>
    logProbs.forEach((logProb, j) => expect(Math.abs(logProb - free[i]!.logProbs[j]!)).toBeLessThan(2e-6)),
  );
});

it('top-k 1 is greedy with probability 1', async () => {
  const greedy = await sampleSequences(sampler, prompts, { ...plain, temperature: 0 }, limits);
  const one = await sampleSequences(sampler, prompts, { ...plain, topK: 1 }, limits);
  expect(one.map(({ tokens }) => tokens)).toEqual(greedy.map(({ tokens }) => tokens));
  expect(one.flatMap(({ logProbs }) => logProbs).every((logProb) => logProb === 0)).toBe(true);
});

it('draws no stop token too early', async () => {
  const stopTokens = Array.from({ length: 150 }, (_, i) => 2 * i);
  const sequences = await sampleSequences(sampler, prompts, { ...plain, stopTokens, minNewTokens: 5 }, limits);
  for (const { tokens, finishReason } of sequences) {
    expect(tokens.slice(0, 5).every((token) => token % 2 === 1)).toBe(true);
    expect(finishReason).toBe('stop');
    expect(tokens.at(-1)! % 2).toBe(0);
  }
});

it('ends at a stop string that straddles two tokens, and keeps the token that completes it', async () => {
  const options = { ...plain, stopTokens: [], tokenizerPath: modelPath };
  const [free] = await sampleSequences(sampler, [prompts[2]!], options, limits);
  const [fourth, fifth] = free!.tokens.slice(3, 5) as [number, number];
  const straddling = String.fromCharCode(0x4e00 + fourth + 1, 0x4e00 + fifth);
  const [stopped] = await sampleSequences(
    sampler,
    [prompts[2]!],
    { ...options, stopStrings: ['never', straddling] },
    limits,
  );
  expect(stopped).toEqual({
    ...free,
    tokens: free!.tokens.slice(0, 5),
    logProbs: free!.logProbs.slice(0, 5),
    finishReason: 'stop',
  });
});

it.each([
  [{ topK: -1 }, /topK -1/],
  [{ topP: 0 }, /topP 0/],
  [{ minP: 1.5 }, /minP 1.5/],
  [{ repetitionPenalty: 0 }, /repetitionPenalty 0/],
  [{ minNewTokens: 21 }, /minNewTokens 21/],
  [{ stopStrings: ['x'] }, /tokenizerPath/],
  [{ stopStrings: [''] }, /empty/],
])('refuses %o', async (some, message) => {
  await expect(sampleSequences(sampler, prompts, { ...plain, ...some }, limits)).rejects.toMatchObject({
    kind: 'invalidInput',
    message: expect.stringMatching(message) as unknown,
  });
});
