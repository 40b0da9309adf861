import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Embedder } from '../../../engine/embeddings/embedder.ts';
import { startEngine } from '../../../engine/host/engineClient.ts';
import type { EngineProgress } from '../../../engine/policy.ts';
import { TINY, writeRandomModel } from '../train/randomModel.ts';

let folder: string;
let model: { modelPath: string; modelDigest: string };
const settings = (microBatchTokens: number) => ({
  ...{ threads: 1, device: 'cpu' as const, decodeBatch: 1, microBatchTokens },
  cachePath: join(folder, 'cache'),
});
const texts = [
  { id: 'short', tokens: [5, 6] },
  { id: 'long', tokens: Array.from({ length: 40 }, (_, i) => 1 + (i % 60)) },
  { id: 'other', tokens: [9, 8, 7, 6, 5] },
  { id: 'same', tokens: [5, 6] },
];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'embedder-'));
  model = { modelPath: await writeRandomModel(join(folder, 'model'), TINY), modelDigest: 'sha256:tiny' };
});
afterAll(() => rmSync(folder, { recursive: true }));

it('gives the same bits whatever stands in the batch, and different texts different vectors', async () => {
  const together = new Embedder(settings(4096));
  const apart = new Embedder(settings(1));
  const progress: EngineProgress[] = [];
  const vectors = await together.embed({ model, texts }, (one) => progress.push(one));
  expect(await apart.embed({ model, texts })).toEqual(vectors);
  expect(await together.embed({ model, texts: [texts[2]!] })).toEqual([vectors[2]]);
  expect(vectors[3]).toEqual(vectors[0]);
  expect(vectors[1]).not.toEqual(vectors[0]);
  expect(vectors.map(({ length }) => length)).toEqual([32, 32, 32, 32]);
  expect(progress.at(-1)).toEqual({ phase: 'embed', done: 4, total: 4, tokens: 49 });
  await together.release();
  await apart.release();
});

it('names the text that it cannot read', async () => {
  const embedder = new Embedder(settings(64));
  await expect(embedder.embed({ model, texts: [{ id: 'none', tokens: [] }] })).rejects.toMatchObject({
    kind: 'invalidInput',
    message: "text 'none' has no tokens",
  });
  await expect(embedder.embed({ model, texts: [{ id: 'odd', tokens: [64] }] })).rejects.toThrow(
    'token 64 is outside the vocabulary of 64',
  );
  await expect(embedder.embed({ model, texts: [{ id: 'far', tokens: Array(1025).fill(1) }] })).rejects.toThrow(
    '1025 tokens, but the model was made for 1024',
  );
  await embedder.release();
});

it('is a verb of the engine process, beside the others', async () => {
  const engine = startEngine(settings(4096));
  try {
    const vectors = await engine.embed({ model, texts });
    const logProbs = () =>
      engine.logProbs({
        policy: model,
        temperature: 1,
        sequences: [{ id: 's', promptTokens: [1], completionTokens: [2] }],
      });
    const before = await logProbs();
    expect(await engine.embed({ model, texts })).toEqual(vectors);
    expect(await logProbs()).toEqual(before);
    expect(vectors[0]).toBeInstanceOf(Float32Array);
  } finally {
    await engine.close();
  }
});
