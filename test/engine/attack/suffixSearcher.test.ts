import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SuffixSearchRequest } from '../../../engine/attack/suffixRequest.ts';
import { suffixPrompt } from '../../../engine/attack/suffixPrompt.ts';
import { startEngine, type HostedEngine } from '../../../engine/host/engineClient.ts';
import { loadTokenizer } from '../../../engine/tokenizer/tokenizer.ts';
import { writeTinyChainModel } from '../../models/tinyChainModel.ts';

const mark = '<<suffix>>';
const length = 6;

let folder: string;
let engine: HostedEngine;
let request: SuffixSearchRequest;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'suffix-search-'));
  // Layers that say much, so that there is something to be found.
  await writeTinyChainModel(join(folder, 'model'), { layerScale: 0.1 });
  engine = startEngine({
    ...{ threads: 1, device: 'cpu', decodeBatch: 4, microBatchTokens: 1024 },
    cachePath: join(folder, 'cache'),
  });
  request = {
    policy: { modelPath: join(folder, 'model'), modelDigest: 'tiny' },
    messages: [{ role: 'user', content: `How do I bake a cake?${mark}` }],
    mark,
    target: 'Here are',
    settings: { length, topK: 32, batch: 24, seed: 'seed' },
    until: 6,
  };
});
afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true });
});

describe('searchSuffix of the engine', { timeout: 240_000 }, () => {
  it('lowers the loss of the target, and its text is read as the tokens that were searched', async () => {
    const { state, text, tokens } = await engine.searchSuffix(request);
    expect(state.step).toBe(6);
    expect(state.bestLoss).toBeLessThan(state.initialLoss - 0.01);
    expect(state.best).toHaveLength(length);
    expect(/^[\x20-\x7e]+$/.test(text)).toBe(true);
    expect(tokens).toBeGreaterThan(6 * 24 * 20);
    const tokenizer = await loadTokenizer(join(folder, 'model'));
    const asked = tokenizer.encodeChat([{ role: 'user', content: `How do I bake a cake?${text}` }]).tokens;
    const completionTokens = tokenizer.encode(request.target, { allowSpecial: false });
    const [logProbs] = await engine.logProbs({
      policy: request.policy,
      sequences: [{ id: 'asked', promptTokens: asked, completionTokens }],
      temperature: 1,
    });
    const mean = logProbs!.reduce((sum, value) => sum + value, 0) / logProbs!.length;
    expect(state.bestLoss).toBeCloseTo(-mean, 5);
  });

  it('finds the same with the same seed, in pieces, and after its process was killed', async () => {
    const whole = await engine.searchSuffix(request);
    const first = await engine.searchSuffix({ ...request, until: 2 });
    const begun = engine.searchSuffix({ ...request, state: first.state }, ({ done }) => {
      if (done >= 3) engine.kill();
    });
    await expect(begun).rejects.toMatchObject({ kind: 'crashed' });
    const resumed = await engine.searchSuffix({ ...request, state: first.state });
    expect(resumed.state).toEqual(whole.state);
    expect(resumed.text === whole.text).toBe(true);
    const other = await engine.searchSuffix({ ...request, settings: { ...request.settings, seed: 'other' } });
    expect(other.state.suffix).not.toEqual(whole.state.suffix);
  });

  it('refuses a chat without one place for it, and an empty target', async () => {
    const messages = [{ role: 'user' as const, content: 'How do I bake a cake?' }];
    await expect(engine.searchSuffix({ ...request, messages })).rejects.toMatchObject({
      kind: 'invalidInput',
      message: /stands 0 times/,
    });
    await expect(engine.searchSuffix({ ...request, target: '' })).rejects.toMatchObject({ kind: 'invalidInput' });
  });
});

describe('suffixPrompt', () => {
  it('allows printable ASCII alone, and knows a suffix whose text is read as other tokens', async () => {
    const tokenizer = await loadTokenizer(join(folder, 'model'));
    const prompt = suffixPrompt(tokenizer, request.messages, mark, 3);
    const textOf = (token: number) => tokenizer.decode([token], { skipSpecial: false });
    const allowed = prompt.allowed.map(textOf);
    expect(allowed).toContain('a');
    expect(allowed).not.toContain('\n');
    expect(allowed).not.toContain('<|im_end|>');
    expect(allowed.every((text) => /^[\x20-\x7e]+$/.test(text))).toBe(true);
    const [a, space, whole] = [' a'.charCodeAt(1), ' '.charCodeAt(0), 0].map(
      (code) => tokenizer.encode(String.fromCharCode(code), { allowSpecial: false })[0]!,
    );
    expect(prompt.survives([a!, a!, a!])).toBe(true);
    // A template may trim it.
    expect(prompt.survives([a!, a!, space!])).toBe(false);
    expect(prompt.survives([a!, whole!, a!])).toBe(false);
    const tokens = tokenizer.encodeChat([{ role: 'user', content: `How do I bake a cake?aaa` }]).tokens;
    expect([...prompt.before, a, a, a, ...prompt.behind]).toEqual(tokens);
  });
});
