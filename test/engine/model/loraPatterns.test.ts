import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '../../../engine/formats/safetensors.ts';
import { readAdapter } from '../../../engine/model/adapter.ts';
import { createAdapter, freshAdapter } from '../../../engine/model/createAdapter.ts';
import { patternValue } from '../../../engine/model/modulePatterns.ts';
import { Trainer } from '../../../engine/train/trainer.ts';
import { update } from '../../../engine/train/update.ts';
import { TINY, writeRandomModel } from '../train/randomModel.ts';

const LORA = {
  rank: 2,
  alpha: 4,
  targets: ['q_proj', 'up_proj', 'down_proj'],
  rankStabilized: true,
  rankPattern: { 'layers.1.self_attn.q_proj': 5, down_proj: 3 },
  alphaPattern: { 'layers.[01].mlp.up_proj': 9 },
};
const OPTIMIZER = { learningRate: 0.01, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 };

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'lora-patterns-'))));
afterAll(() => rmSync(folder, { recursive: true }));

describe('rank and alpha by module', () => {
  it('a fresh adapter has them, its folder says so, and it is read back the same', async () => {
    const modelPath = await writeRandomModel(join(folder, 'model'), TINY);
    const outputPath = join(folder, 'fresh');
    const model = { modelPath, modelDigest: 'model' };
    await createAdapter({ model, lora: LORA, seed: 'seed', outputPath, baseModelName: 'org/tiny' });
    const { modules, tensors } = await readAdapter(outputPath, TINY);
    const known = Object.fromEntries(modules.map(({ module, rank, scale }) => [module, [rank, scale]]));
    expect(known).toEqual({
      'model.layers.0.self_attn.q_proj': [2, 4 / Math.sqrt(2)],
      'model.layers.0.mlp.up_proj': [2, 9 / Math.sqrt(2)],
      'model.layers.0.mlp.down_proj': [3, 4 / Math.sqrt(3)],
      'model.layers.1.self_attn.q_proj': [5, 4 / Math.sqrt(5)],
      'model.layers.1.mlp.up_proj': [2, 9 / Math.sqrt(2)],
      'model.layers.1.mlp.down_proj': [3, 4 / Math.sqrt(3)],
    });
    expect(freshAdapter(TINY, LORA, 'seed')).toEqual({ modules, tensors });
    expect(JSON.parse(readFileSync(join(outputPath, 'adapter_config.json'), 'utf8'))).toMatchObject({
      r: 2,
      lora_alpha: 4,
      rank_pattern: LORA.rankPattern,
      alpha_pattern: LORA.alphaPattern,
    });
  });

  it('an optimizer step keeps them, and moves every matrix', async () => {
    const model = { modelPath: join(folder, 'model'), modelDigest: 'model' };
    const trainer = new Trainer({ threads: 1, device: 'cpu', decodeBatch: 1, microBatchTokens: 64, cachePath: folder });
    const gradientPath = join(folder, 'gradient.safetensors');
    const sequence = { id: 'a', promptTokens: [5, 6], completionTokens: [7, 8, 9], weight: 1 / 3 };
    // Twice: B leaves zero at the first step, A moves from the second on.
    let adapterPath = join(folder, 'fresh');
    for (const step of [1, 2]) {
      await trainer.gradients({
        model,
        adapterPath,
        sequences: [sequence],
        objective: { name: 'sft' },
        outputPath: gradientPath,
      });
      const outputAdapterPath = join(folder, `step-${step}`);
      await update({
        adapterPath,
        ...(step > 1 ? { optimizerStatePath: join(folder, `state-${step - 1}`) } : {}),
        gradientPaths: [gradientPath],
        optimizer: OPTIMIZER,
        outputAdapterPath,
        outputOptimizerStatePath: join(folder, `state-${step}`),
      });
      adapterPath = outputAdapterPath;
    }
    await trainer.release();
    const [before, after] = [await readAdapter(join(folder, 'fresh'), TINY), await readAdapter(adapterPath, TINY)];
    expect(after.modules).toEqual(before.modules);
    for (const [name, { data }] of after.tensors) expect(data, name).not.toEqual(before.tensors.get(name)!.data);
    const gradient = await readSafetensors(gradientPath);
    expect(gradient.tensors.get('base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight')!.shape).toEqual([
      5, 32,
    ]);
    await gradient.close();
  });

  it.each<[string, Partial<typeof LORA> | object, RegExp]>([
    ['a key that fits no module', { rankPattern: { k_proj: 3 } }, /rankPattern: the key 'k_proj' fits none/],
    ['half a rank', { rankPattern: { q_proj: 1.5 } }, /rank 1.5 is no positive integer/],
    ['no alpha', { alphaPattern: { q_proj: 0 } }, /alpha 0 is no positive number/],
    ['a key that is no expression', { alphaPattern: { '(': 1 } }, /"\(" is not a regular expression/],
  ])('refuses %s', (_name, change, message) => {
    expect(() => freshAdapter(TINY, { ...LORA, ...change }, 'seed')).toThrow(message);
  });
});

describe('a key of rank_pattern, as PEFT matches it', () => {
  it.each<[string, string, boolean]>([
    ['q_proj', 'model.layers.0.self_attn.q_proj', true],
    ['proj', 'model.layers.0.self_attn.q_proj', false],
    ['1.mlp.up_proj', 'model.layers.11.mlp.up_proj', false],
    ['layers.1.mlp.up_proj', 'model.layers.1.mlp.up_proj', true],
    ['^model.layers.1.mlp.up_proj', 'model.layers.1.mlp.up_proj', true],
    ['^layers.1.mlp.up_proj', 'model.layers.1.mlp.up_proj', false],
    ['layers.[0-3].*up_proj', 'model.layers.2.mlp.up_proj', true],
    ['up_proj|q_proj', 'model.layers.2.mlp.up_proj', true],
    ['up', 'model.layers.2.mlp.up_proj', false],
  ])('%s for %s: %s', (key, module, fits) => {
    expect(patternValue({ [key]: 7 }, module, 'test')).toBe(fits ? 7 : undefined);
  });
});
