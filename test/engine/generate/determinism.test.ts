import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BatchLimits } from '../../../engine/generate/sampleSequences.ts';
import { sampleSequences } from '../../../engine/generate/sampleSequences.ts';
import type { Sampler } from '../../../engine/generate/sampler.ts';
import { openSampler } from '../../../engine/generate/sampler.ts';
import type { DecoderConfig } from '../../../engine/model/config.ts';
import { convertedWeights } from '../../../engine/model/weightFile.ts';
import type { SampledSequence, SamplePrompt, SampleRequest } from '../../../engine/policy.ts';
import { mulberry32, SMOLLM2_CONFIG, TINY_CONFIG, writeRandomModel } from './tinyModel.ts';

/**
 * Tokens and log-probabilities of a sequence, compared bit by bit while everything around it changes. Sizes that are no multiples of a vector
 * register, one query head a key head, and a single key head are where another path of the same operator would show.
 */
const SHAPES: [string, DecoderConfig][] = [
  ['tiny, 3 query heads a key head', TINY_CONFIG],
  [
    'odd sizes',
    { ...TINY_CONFIG, hiddenSize: 54, heads: 9, kvHeads: 3, headDim: 6, intermediateSize: 91, vocabularySize: 179 },
  ],
  ['one query head a key head', { ...TINY_CONFIG, heads: 3, kvHeads: 3, headDim: 16 }],
  ['one key head', { ...TINY_CONFIG, heads: 7, kvHeads: 1, headDim: 64, attentionBias: true, architecture: 'qwen2' }],
  ['sliding window', { ...TINY_CONFIG, architecture: 'mistral', slidingWindow: 40 }],
];

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'determinism-'))));
afterAll(() => rmSync(folder, { recursive: true }));

type Weights = SampleRequest['weights'];

const open = async (name: string, config: DecoderConfig, threads: number, weights?: Weights): Promise<Sampler> => {
  const modelPath = await writeRandomModel(join(folder, name), config);
  return openSampler(await convertedWeights({ modelPath, modelDigest: name }, folder), undefined, {
    threads,
    device: 'cpu',
    ...(weights ? { weights } : {}),
  });
};

/** Prompts over two prefixes (one longer than two blocks of keys) and without any, with rests of 1 to 70 tokens. */
function manyPrompts(vocabularySize: number): SamplePrompt[] {
  const random = mulberry32(3);
  const tokens = (count: number) => Array.from({ length: count }, () => Math.floor(random() * vocabularySize));
  const prefixes = [tokens(300), tokens(17), []];
  const rests = [1, 2, 3, 9, 33, 70];
  return rests.flatMap((rest) =>
    prefixes.map((prefix) => {
      const id = `${prefix.length}+${rest}`;
      const seeds = Array.from({ length: 3 }, (_, i) => `${id}/${i}`);
      return { id, tokens: [...prefix, ...tokens(rest)], prefixLength: prefix.length, seeds };
    }),
  );
}

/** Prompts behind prefixes of one to eight blocks of keys, none of which has many rows. */
function manyPrefixes(vocabularySize: number): SamplePrompt[] {
  const random = mulberry32(4);
  const tokens = (count: number) => Array.from({ length: count }, () => Math.floor(random() * vocabularySize));
  // Two and more of one to eight blocks, and of ten: sums over six and ten blocks are the ones that others would change.
  const lengths = [
    0, 1, 17, 128, 129, 250, 300, 384, 385, 512, 520, 600, 641, 700, 768, 800, 896, 897, 1000, 1160, 1270,
  ];
  return lengths.flatMap((length, index) => {
    const prefix = tokens(length);
    return [1 + (index % 3), 9].slice(0, 1 + (index % 2)).map((rest, place) => {
      const id = `${length}+${rest}`;
      const seeds = Array.from({ length: 1 + ((index + place) % 2) }, (_, i) => `${id}/${i}`);
      return { id, tokens: [...prefix, ...tokens(rest)], prefixLength: length, seeds };
    });
  });
}

/** About one token in thirty ends a sequence. */
function sample(sampler: Sampler, prompts: SamplePrompt[], limits: BatchLimits): Promise<SampledSequence[]> {
  const stopTokens = Array.from({ length: sampler.config.vocabularySize / 30 }, (_, i) => 30 * i);
  return sampleSequences(sampler, prompts, { temperature: 0.9, maxNewTokens: 20, stopTokens }, limits);
}

const byName = (sequences: SampledSequence[]) =>
  new Map(sequences.map((sequence) => [`${sequence.promptId}/${sequence.sampleIndex}`, sequence]));

/** Names of the sequences that are not the same, bit by bit, in the larger set. */
function differing(some: SampledSequence[], all: SampledSequence[]): string[] {
  const known = byName(all);
  return [...byName(some)]
    .filter(([name, sequence]) => !isDeepStrictEqual(sequence, known.get(name)))
    .map(([name]) => name);
}

async function proveIndependence(name: string, config: DecoderConfig, weights?: Weights): Promise<void> {
  const prompts = manyPrompts(config.vocabularySize);
  const sampler = await open(name, config, 2, weights);
  const together = await sample(sampler, prompts, { decodeBatch: 32, prefillTokens: 4096 });
  expect(together.map(({ promptId }) => promptId)).toEqual(prompts.flatMap(({ id }) => [id, id, id]));
  expect(new Set(together.map(({ tokens }) => tokens.length)).size).toBeGreaterThan(3);

  for (const limits of [
    { decodeBatch: 1, prefillTokens: 1 },
    { decodeBatch: 2, prefillTokens: 64 },
    { decodeBatch: 7, prefillTokens: 300 },
  ])
    expect(differing(await sample(sampler, prompts, limits), together), JSON.stringify(limits)).toEqual([]);

  // Other mates, other places: some prompts alone, and all prompts backwards with one sample each.
  for (const prompt of prompts.slice(0, 6)) {
    const alone = await sample(sampler, [{ ...prompt, seeds: prompt.seeds.slice(0, 1) }], {
      decodeBatch: 8,
      prefillTokens: 512,
    });
    expect(differing(alone, together), prompt.id).toEqual([]);
  }
  const reversed = [...prompts].reverse().map((prompt) => ({ ...prompt, seeds: prompt.seeds.slice(0, 1) }));
  const backwards = await sample(sampler, reversed, { decodeBatch: 5, prefillTokens: 1000 });
  expect(differing(backwards, together), 'backwards').toEqual([]);
  await sampler.release();

  for (const threads of [1, 3]) {
    const other = await open(name, config, threads, weights);
    const sampled = await sample(other, prompts, { decodeBatch: 9, prefillTokens: 700 });
    expect(differing(sampled, together), `${threads} threads`).toEqual([]);
    await other.release();
  }
}

/** Decoded together, behind prefixes of other lengths, as alone. */
async function proveStacks(name: string, config: DecoderConfig): Promise<void> {
  const prompts = manyPrefixes(config.vocabularySize);
  const sampler = await open(name, config, 2);
  const decoded: number[] = [];
  const counting: Sampler = {
    ...sampler,
    forward(input) {
      if (input.past) decoded.push(input.prefix.shapes.length);
      return sampler.forward(input);
    },
  };
  const alone = await sample(counting, prompts, { decodeBatch: 2, prefillTokens: 64 });
  expect(new Set(decoded)).toEqual(new Set([1]));
  expect(new Set(alone.map(({ tokens }) => tokens.length)).size).toBeGreaterThan(3);
  for (const decodeBatch of [32, 8 * 3 + 1]) {
    decoded.length = 0;
    const together = await sample(counting, prompts, { decodeBatch, prefillTokens: 4096 });
    expect(differing(together, alone), `${decodeBatch} rows`).toEqual([]);
    if (config.kvHeads === 1) continue;
    expect(Math.max(...decoded)).toBeGreaterThan(3);
    // Fewer, as rows end and prefixes go.
    expect(new Set(decoded).size).toBeGreaterThan(2);
  }
  await sampler.release();
  const single = await open(name, config, 1);
  const backwards = await sample(single, prompts.toReversed(), { decodeBatch: 40, prefillTokens: 300 });
  expect(differing(backwards, alone), 'backwards, 1 thread').toEqual([]);
  await single.release();
}

describe('a sequence does not depend on what is sampled with it, nor on threads', () => {
  it.each(SHAPES)('behind many prefixes: %s', { timeout: 120_000 }, (name, config) =>
    proveStacks(name.replaceAll(/\W/g, '-'), config),
  );

  it('behind many prefixes: SmolLM2 shape, two layers', { timeout: 300_000 }, () =>
    proveStacks('smollm2', SMOLLM2_CONFIG),
  );

  it.each(SHAPES)('%s', { timeout: 120_000 }, (name, config) => proveIndependence(name.replaceAll(/\W/g, '-'), config));

  it('SmolLM2 shape, two layers', { timeout: 300_000 }, () => proveIndependence('smollm2', SMOLLM2_CONFIG));

  it('SmolLM2 shape, two layers, weights in 8 bits', { timeout: 300_000 }, () =>
    proveIndependence('smollm2-8bit', SMOLLM2_CONFIG, 'eightBit'),
  );
});
