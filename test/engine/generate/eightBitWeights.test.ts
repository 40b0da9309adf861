import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '../../../engine/formats/safetensors.ts';
import { writeEightBitWeights } from '../../../engine/generate/eightBitWeights.ts';
import { emptyPrefix } from '../../../engine/generate/prefix.ts';
import { openSampler } from '../../../engine/generate/sampler.ts';
import { readAdapter } from '../../../engine/model/adapter.ts';
import { createAdapter } from '../../../engine/model/createAdapter.ts';
import { openMergedTensors } from '../../../engine/model/mergedWeights.ts';
import { convertedWeights } from '../../../engine/model/weightFile.ts';
import type { WeightFile } from '../../../engine/model/weightFile.ts';
import { TINY_CONFIG, writeRandomModel } from './tinyModel.ts';

const CONFIG = { ...TINY_CONFIG, hiddenSize: 64, intermediateSize: 96, headDim: 16, heads: 4, kvHeads: 2 };
const LORA = { rank: 4, alpha: 8, targets: ['q_proj', 'down_proj'], rankStabilized: false };

let folder: string;
let weightFile: WeightFile;
let adapterPath: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'eight-bit-'));
  const model = { modelPath: await writeRandomModel(join(folder, 'model'), CONFIG), modelDigest: 'tiny' };
  weightFile = await convertedWeights(model, folder);
  adapterPath = join(folder, 'adapter');
  await createAdapter({ model, lora: LORA, seed: 'one', outputPath: adapterPath, baseModelName: 'tiny' });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('weights in 8 bits', () => {
  it('are within half a step of the merged ones, the largest of each block exactly', async () => {
    const adapter = await readAdapter(adapterPath, CONFIG);
    for (const { data } of adapter.tensors.values()) data.forEach((_, i) => (data[i] = Math.sin(i) / 8));
    const merged = await openMergedTensors(weightFile, adapter, { threads: 1 });
    const file = await writeEightBitWeights(weightFile, adapter, { threads: 1 });
    const bytes = readFileSync(join(weightFile.folder, file.matrices.values().next().value!.values.fileName));
    expect([...file.matrices.keys()]).toContain('model.layers.0.mlp.down_proj.weight');
    for (const [name, { out, blocks, block, values, scales }] of file.matrices) {
      const exact = await merged.read(name);
      expect(exact).toHaveLength(out * blocks * block);
      const numbers = bytes.subarray(values.offset, values.offset + values.byteLength);
      const steps = new Float32Array(
        new Uint8Array(bytes.subarray(scales.offset, scales.offset + scales.byteLength)).buffer,
      );
      for (let i = 0; i < out * blocks; i++) {
        const own = exact.subarray(i * block, (i + 1) * block);
        const step = steps[i]!;
        expect(step).toBeCloseTo(Math.max(...own.map(Math.abs)) / 127, 6);
        own.forEach((weight, j) => {
          expect(Math.abs((numbers[i * block + j]! - 128) * step - weight)).toBeLessThanOrEqual(0.5001 * step);
        });
      }
    }
    await merged.close();
    await file.remove();
  });

  it('leave no file behind once the sampler is open, and give nearly the logits of float32', async () => {
    const before = readdirSync(weightFile.folder);
    const logitsOf = async (weights?: 'eightBit') => {
      const settings = { threads: 1, device: 'cpu', ...(weights ? { weights } : {}) } as const;
      const sampler = await openSampler(weightFile, undefined, settings);
      expect(readdirSync(weightFile.folder)).toEqual(before);
      const { logits } = await sampler.forward({
        tokens: [[5, 6, 7, 8]],
        prefix: emptyPrefix(CONFIG),
        draws: [{ row: 0, token: 3, uniform: 0 }],
        temperature: 1,
        logits: true,
      });
      await sampler.release();
      return logits![0]!.slice();
    };
    const [exact, rounded] = [await logitsOf(), await logitsOf('eightBit')];
    const rootMeanSquare = (values: Float32Array) =>
      Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    const error = rootMeanSquare(rounded.map((value, i) => value - exact[i]!)) / rootMeanSquare(exact);
    expect(error).toBeGreaterThan(1e-4);
    expect(error).toBeLessThan(0.03);
  });

  it('are not made of matrices whose rows do not divide into blocks', async () => {
    const odd = { ...CONFIG, intermediateSize: 90 };
    const model = { modelPath: await writeRandomModel(join(folder, 'odd'), odd), modelDigest: 'odd' };
    const oddWeights = await convertedWeights(model, folder);
    const file = await writeEightBitWeights(oddWeights, undefined, { threads: 1 });
    expect(file.matrices.has('model.layers.0.mlp.down_proj.weight')).toBe(false);
    expect(file.matrices.has('model.layers.0.mlp.up_proj.weight')).toBe(true);
    const source = await readSafetensors(oddWeights.path);
    expect(source.tensors.has('model.layers.0.mlp.down_proj.weight')).toBe(true);
    await source.close();
    await file.remove();
  });
});
