import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { PREFILL_CHUNK } from '../../../engine/generate/prefixGroups.ts';
import { sampleSequences } from '../../../engine/generate/sampleSequences.ts';
import type { ForwardInput, Sampler } from '../../../engine/generate/sampler.ts';
import { openSampler } from '../../../engine/generate/sampler.ts';
import { convertedWeights } from '../../../engine/model/weightFile.ts';
import type { EngineProgress, SamplePrompt, SamplingOptions } from '../../../engine/policy.ts';
import { TINY_CONFIG, writeRandomModel } from './tinyModel.ts';

let folder: string;
let sampler: Sampler;
/** What was run: new tokens by row, tokens of the prefix (or of each of several), and decoding or not. */
let runs: { rows: number[]; prefix: number | number[]; decode: boolean }[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sample-'));
  const modelPath = await writeRandomModel(join(folder, 'model'), TINY_CONFIG);
  const weights = await convertedWeights({ modelPath, modelDigest: 'tiny' }, folder);
  const opened = await openSampler(weights, undefined, { threads: 1, device: 'cpu' });
  sampler = {
    ...opened,
    forward(input: ForwardInput) {
      const rows = input.tokens.map(({ length }) => length);
      const prefixes = input.prefix.shapes.map((shape) => shape.tokens);
      runs.push({ rows, prefix: prefixes.length === 1 ? prefixes[0]! : prefixes, decode: input.past !== undefined });
      return opened.forward(input);
    },
  };
});
beforeEach(() => void (runs = []));
afterAll(async () => {
  await sampler.release();
  rmSync(folder, { recursive: true });
});

const tokens = (start: number, count: number) => Array.from({ length: count }, (_, i) => (start + 7 * i) % 300);
const limits = { decodeBatch: 4, prefillTokens: 100 };
const options: SamplingOptions = { temperature: 1, maxNewTokens: 5, stopTokens: [] };

describe('what is computed', () => {
  it('a prefix once for all prompts and later calls, the rest of a prompt once for all its samples', async () => {
    const prefix = tokens(1, 20);
    const prompts: SamplePrompt[] = [
      { id: 'a', tokens: [...prefix, ...tokens(50, 6)], prefixLength: 20, seeds: ['1', '2'] },
      { id: 'b', tokens: [...prefix, ...tokens(90, 9)], prefixLength: 20, seeds: ['3', '4'] },
    ];
    await sampleSequences(sampler, prompts, options, limits);
    expect(runs.filter(({ decode }) => !decode)).toEqual([
      { rows: [20], prefix: 0, decode: false },
      { rows: [6, 9], prefix: 20, decode: false },
    ]);
    expect(runs.filter(({ decode }) => decode).map(({ rows }) => rows.length)).toEqual([4, 4, 4, 4]);

    runs = [];
    await sampleSequences(sampler, prompts.slice(1), options, limits);
    expect(runs[0]).toEqual({ rows: [9], prefix: 20, decode: false });
  });

  it('whole chunks that prefixes begin with alike once, from the second of them on', async () => {
    const codes = tokens(5, PREFILL_CHUNK + 40);
    const behind = (id: number): SamplePrompt => {
      const prefix = [...codes, ...tokens(id, 30)];
      return { id: `${id}`, tokens: [...prefix, 1, 2], prefixLength: prefix.length, seeds: ['s'] };
    };
    const prompts = [behind(11), behind(12), behind(13)];
    const together = await sampleSequences(sampler, prompts, options, limits);
    const whole = { rows: [PREFILL_CHUNK], prefix: 0, decode: false };
    const rest = { rows: [70], prefix: PREFILL_CHUNK, decode: false };
    const prompt = { rows: [2], prefix: PREFILL_CHUNK + 70, decode: false };
    expect(runs.filter(({ decode }) => !decode)).toEqual([whole, rest, prompt, whole, rest, prompt, rest, prompt]);
    // From nothing: the same bits.
    runs = [];
    await sampleSequences(sampler, [{ ...behind(14), tokens: [9, 9, 9], prefixLength: 2 }], options, limits);
    runs = [];
    const alone = await sampleSequences(sampler, [prompts[2]!], options, limits);
    expect(alone).toEqual(together.slice(2));
  });

  it('samples of the next prompts take the places of finished ones', async () => {
    const prompts = tokens(3, 6).map((first) => ({
      id: `${first}`,
      tokens: [first, 4, 5],
      prefixLength: 0,
      seeds: ['x', 'y'],
    }));
    const stopTokens = Array.from({ length: 60 }, (_, i) => 5 * i);
    const sequences = await sampleSequences(sampler, prompts, { ...options, maxNewTokens: 30, stopTokens }, limits);
    expect(sequences.map(({ promptId, sampleIndex }) => [promptId, sampleIndex])).toEqual(
      prompts.flatMap(({ id }) => [
        [id, 0],
        [id, 1],
      ]),
    );
    const decoded = runs.filter(({ decode }) => decode).map(({ rows }) => rows.length);
    expect(Math.max(...decoded)).toBe(4);
    // Rows of prompt 3 and later join while earlier ones still run: fewer steps than one batch after another.
    const batches = [0, 4, 8].map((start) => sequences.slice(start, start + 4));
    const apart = batches.map((batch) => Math.max(...batch.map((sequence) => sequence.tokens.length)) - 1);
    expect(decoded.length).toBeLessThan(apart.reduce((a, b) => a + b));
  });

  it('a long prompt in chunks, all but the last of them as its prefix', async () => {
    const long = tokens(2, 2 * PREFILL_CHUNK + 10);
    const prompt = { id: 'long', tokens: long, prefixLength: 30, seeds: ['s'] };
    const [sequence] = await sampleSequences(sampler, [prompt], { ...options, temperature: 0 }, limits);
    const prefix = 30 + PREFILL_CHUNK;
    expect(runs.filter(({ decode }) => !decode)).toEqual([
      { rows: [PREFILL_CHUNK], prefix: 0, decode: false },
      { rows: [30], prefix: PREFILL_CHUNK, decode: false },
      { rows: [long.length - prefix], prefix, decode: false },
    ]);
    // The same prompt cut elsewhere: the same tokens, and log-probabilities up to rounding.
    const [other] = await sampleSequences(
      sampler,
      [{ ...prompt, prefixLength: 900 }],
      { ...options, temperature: 0 },
      limits,
    );
    expect(other!.tokens).toEqual(sequence!.tokens);
    other!.logProbs.forEach((logProb, i) => expect(logProb).toBeCloseTo(sequence!.logProbs[i]!, 4));
  });
});

describe('how sequences end', () => {
  const prompt: SamplePrompt = { id: 'p', tokens: [9, 8, 7], prefixLength: 1, seeds: ['s'] };

  it('the stop token is the last token, and its reason is stop', async () => {
    const [free] = await sampleSequences(sampler, [prompt], options, limits);
    expect(free).toMatchObject({ finishReason: 'length' });
    expect(free!.tokens).toHaveLength(5);
    for (const at of [0, 2, 4]) {
      const stopTokens = [free!.tokens[at]!];
      const [stopped] = await sampleSequences(sampler, [prompt], { ...options, stopTokens }, limits);
      const first = free!.tokens.indexOf(free!.tokens[at]!);
      expect(stopped).toEqual({
        ...free,
        tokens: free!.tokens.slice(0, first + 1),
        logProbs: free!.logProbs.slice(0, first + 1),
        finishReason: 'stop',
      });
    }
  });

  it('the context ends a sequence before its limit', async () => {
    const nearEnd = { ...prompt, tokens: tokens(0, TINY_CONFIG.contextLength - 3) };
    const [sequence] = await sampleSequences(sampler, [nearEnd], options, limits);
    expect(sequence!.tokens).toHaveLength(3);
    expect(sequence!.finishReason).toBe('length');
  });

  it('progress counts finished sequences and sampled tokens', async () => {
    const progress: EngineProgress[] = [];
    const two = { ...prompt, seeds: ['s', 't'] };
    await sampleSequences(sampler, [two], options, limits, (report) => progress.push(report));
    expect(progress.filter(({ phase }) => phase === 'decode').map(({ done, tokens: count }) => [done, count])).toEqual([
      [0, 4],
      [0, 6],
      [0, 8],
      [2, 10],
    ]);
  });

  it('other seeds give other samples; greedy ignores them', async () => {
    const many = { ...prompt, seeds: ['s', 't', 'u', 's'] };
    const sampled = await sampleSequences(sampler, [many], options, limits);
    expect(sampled[3]!.tokens).toEqual(sampled[0]!.tokens);
    expect(new Set(sampled.map((sequence) => sequence.tokens.join())).size).toBe(3);
    const greedy = await sampleSequences(sampler, [many], { ...options, temperature: 0 }, limits);
    expect(new Set(greedy.map((sequence) => sequence.tokens.join())).size).toBe(1);
  });

  it('refuses to go on with probabilities that are not finite', async () => {
    const broken: Sampler = {
      ...sampler,
      async forward(input) {
        const result = await sampler.forward(input);
        return input.past ? { ...result, drawn: result.drawn.map(() => ({ token: 0, logProb: NaN })) } : result;
      },
    };
    await expect(sampleSequences(broken, [prompt], options, limits)).rejects.toMatchObject({
      kind: 'notFinite',
      message: /prompt 'p', sample 0, token 1/,
    });
  });

  it.each([
    [{ ...prompt, tokens: [] }, options, /prompt 'p': has no tokens/],
    [{ ...prompt, tokens: tokens(0, 4096) }, options, /prompt 'p': has 4096 tokens, the model's context is 4096/],
    [{ ...prompt, tokens: [1, -2] }, options, /token -2 is not in the vocabulary/],
    [{ ...prompt, prefixLength: 4 }, options, /prefixLength 4 is not between 0 and its 3 tokens/],
    [prompt, { ...options, temperature: -1 }, /temperature -1/],
    [prompt, { ...options, maxNewTokens: 0 }, /maxNewTokens 0/],
  ])('refuses a malformed request %#', async (bad, badOptions, message) => {
    await expect(sampleSequences(sampler, [bad], badOptions, limits)).rejects.toMatchObject({
      kind: 'invalidInput',
      message,
    });
    expect(runs).toEqual([]);
  });
});
