import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SuffixModel } from '../../../engine/attack/suffixModel.ts';
import { writeSafetensors } from '../../../engine/formats/safetensors.ts';
import { createAdapter } from '../../../engine/model/createAdapter.ts';
import { openMergedTensors } from '../../../engine/model/mergedWeights.ts';
import { policyWeights } from '../../../engine/model/trainedWeights.ts';
import { expectedTensors } from '../../../engine/model/weights.ts';
import type { EngineSettings } from '../../../engine/policy.ts';
import { Trainer } from '../../../engine/train/trainer.ts';
import { fillB } from '../filledAdapter.ts';
import { TINY, writeRandomModel } from '../train/randomModel.ts';
import { openDoubleDecoder, type DoubleDecoder } from './doubleDecoder.ts';

const promptTokens = [3, 9, 27, 14, 50, 41, 8];
const completionTokens = [11, 5, 33];
const [start, count] = [2, 3];

let folder: string;
let settings: EngineSettings;
let policy: { modelPath: string; modelDigest: string };
let double: DoubleDecoder;
let model: SuffixModel;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'suffix-model-'));
  settings = { threads: 1, device: 'cpu', decodeBatch: 4, microBatchTokens: 64, cachePath: join(folder, 'cache') };
  policy = { modelPath: await writeRandomModel(join(folder, 'model'), TINY), modelDigest: 'tiny' };
  double = await openDoubleDecoder(join(folder, 'model', 'model.safetensors'), TINY);
  model = await SuffixModel.open(policy, settings);
});
afterAll(async () => {
  await model.release();
  rmSync(folder, { recursive: true });
});

/** The loss in float64 where `token` has gained `by` of the one-hot row at `place` of the prompt. */
function doubleLoss(place = 0, token = 0, by = 0): number {
  const inputs = [...promptTokens, ...completionTokens.slice(0, -1)].map((one) => double.embedding(one));
  const direction = double.embedding(token);
  inputs[place] = inputs[place]!.map((value, index) => value + by * direction[index]!);
  return double.loss(inputs, completionTokens);
}

const step = 1e-4;
const difference = (place: number, token: number): number =>
  (doubleLoss(place, token, step) - doubleLoss(place, token, -step)) / (2 * step);

describe('gradient with respect to one-hot tokens', () => {
  it('equals central differences in float64, for every token of the vocabulary at every place', async () => {
    const { gradient, loss } = await model.oneHotGradient({ promptTokens, completionTokens }, start, count);
    expect(gradient).toHaveLength(count * TINY.vocabularySize);
    expect(Math.abs(loss - doubleLoss())).toBeLessThan(1e-5);
    let largest = 0;
    let furthest = 0;
    for (let place = 0; place < count; place++) {
      for (let token = 0; token < TINY.vocabularySize; token++) {
        const wanted = difference(start + place, token);
        largest = Math.max(largest, Math.abs(wanted));
        furthest = Math.max(furthest, Math.abs(gradient[place * TINY.vocabularySize + token]! - wanted));
      }
    }
    expect(largest).toBeGreaterThan(1e-2);
    expect(furthest / largest).toBeLessThan(1e-4);
  });

  it('is of the policy with its adapter: one with weights has the gradient of the merged model', async () => {
    const adapterPath = join(folder, 'adapter');
    const lora = { rank: 2, alpha: 4, targets: ['q_proj', 'down_proj'], rankStabilized: false };
    await createAdapter({ model: policy, lora, seed: 's', outputPath: adapterPath, baseModelName: 'tiny' });
    const gradientOf = async (opened: SuffixModel): Promise<Float32Array> => {
      const { gradient } = await opened.oneHotGradient({ promptTokens, completionTokens }, start, count);
      if (opened !== model) await opened.release();
      return gradient;
    };
    const distance = (one: Float32Array, other: Float32Array): number =>
      one.reduce((most, value, index) => Math.max(most, Math.abs(value - other[index]!)), 0);
    const base = await gradientOf(model);
    // A fresh adapter changes nothing, by other operations.
    expect(distance(await gradientOf(await SuffixModel.open({ ...policy, adapterPath }, settings)), base)).toBeLessThan(
      1e-6,
    );
    await fillB(join(adapterPath, 'adapter_model.safetensors'));
    const adapted = await gradientOf(await SuffixModel.open({ ...policy, adapterPath }, settings));
    expect(distance(adapted, base)).toBeGreaterThan(1e-3);
    const { weightFile, adapter } = await policyWeights({ ...policy, adapterPath }, settings.cachePath);
    const merged = await openMergedTensors(weightFile, adapter, settings);
    const mergedPath = join(folder, 'merged');
    mkdirSync(mergedPath);
    copyFileSync(join(folder, 'model', 'config.json'), join(mergedPath, 'config.json'));
    const tensors = [];
    for (const [name, shape] of expectedTensors(TINY)) tensors.push({ name, shape, data: await merged.read(name) });
    await merged.close();
    await writeSafetensors(join(mergedPath, 'model.safetensors'), tensors, { format: 'pt' });
    const whole = await SuffixModel.open({ modelPath: mergedPath, modelDigest: 'merged' }, settings);
    expect(distance(await gradientOf(whole), adapted)).toBeLessThan(1e-5);
  });

  it('refuses places outside of the prompt', async () => {
    await expect(model.oneHotGradient({ promptTokens, completionTokens }, 5, 3)).rejects.toMatchObject({
      kind: 'invalidInput',
    });
  });
});

describe('losses', () => {
  const texts = [promptTokens, [1, 2], [...promptTokens, ...promptTokens, ...promptTokens], [9, 9, 9, 9]].map(
    (prompt) => ({ promptTokens: prompt, completionTokens }),
  );

  it('have the same bits alone and together, with and without the gradient', async () => {
    const together = await model.losses(texts);
    for (const [index, text] of texts.entries()) {
      expect(await model.losses([text])).toEqual([together[index]]);
    }
    const { loss } = await model.oneHotGradient(texts[0]!, start, count);
    expect(loss).toBe(together[0]!.loss);
  });

  it("are those of the trainer's graph", async () => {
    const trainer = new Trainer(settings);
    const sequences = texts.map((text, index) => ({ id: String(index), ...text }));
    const scored = await trainer.logProbs({ policy, sequences, temperature: 1 });
    await trainer.release();
    const losses = await model.losses(texts);
    for (const [index, logProbs] of scored.entries()) {
      const mean = logProbs.reduce((sum, value) => sum + value, 0) / logProbs.length;
      expect(losses[index]!.loss).toBeCloseTo(-mean, 6);
      expect(losses[index]!.leastProbability).toBeCloseTo(Math.exp(Math.min(...logProbs)), 6);
    }
  });
});
