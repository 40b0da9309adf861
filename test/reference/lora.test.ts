import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import { readAdapter } from '../../engine/model/adapter.ts';
import { writeMergedWeights } from '../../engine/model/mergedWeights.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import { Trainer } from '../../engine/train/trainer.ts';
import { testDevice } from '../gpu/testDevice.ts';
import { logitsOf, logProbsFrom } from './decoderGraph.ts';
import { absoluteError, describeCases, goldenArrays } from './golden.ts';

interface LoraCase {
  model_dir: string;
  adapter_dir: string;
  merged_dir: string;
  batch: { rows: number[][] };
  scaling_by_module: Record<string, number>;
  tolerance: { logits: { suggested_atol: number }; 'merged weights': { suggested_atol: number } };
}

describeCases<LoraCase>('lora', 'a LoRA adapter', (golden) => {
  const { info, folder } = golden;
  const model = { modelPath: join(folder, info.model_dir), modelDigest: 'model' };
  const adapterPath = join(folder, info.adapter_dir);
  let cachePath: string;
  beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'lora-'))));
  afterAll(() => rmSync(cachePath, { recursive: true }));

  it('scales by module', async () => {
    const { config } = await convertedWeights(model, cachePath);
    const { modules } = await readAdapter(adapterPath, config);
    expect(modules.map(({ module }) => module).sort()).toEqual(Object.keys(info.scaling_by_module).sort());
    for (const { module, scale } of modules) expect(scale, module).toBeCloseTo(info.scaling_by_module[module]!, 12);
  });

  it('logits with the adapter on, and log-probabilities by the trainer', async () => {
    const weightFile = await convertedWeights(model, cachePath);
    const adapter = await readAdapter(adapterPath, weightFile.config);
    const expected = await goldenArrays(golden);
    const reference = await expected.read('adapter_logits_f64');
    await expected.close();
    const { rows } = info.batch;
    expect(absoluteError(await logitsOf(weightFile, rows, adapter), reference)).toBeLessThan(
      info.tolerance.logits.suggested_atol,
    );

    const trainer = new Trainer({ threads: 1, device: testDevice, decodeBatch: 1, microBatchTokens: 4096, cachePath });
    const sequences = rows.map((row, i) => ({
      id: `row ${i}`,
      promptTokens: row.slice(0, 1),
      completionTokens: row.slice(1),
    }));
    const logProbs = await trainer.logProbs({ policy: { ...model, adapterPath }, sequences, temperature: 1 });
    await trainer.release();
    const wanted = logProbsFrom(reference, rows, weightFile.config.vocabularySize);
    expect(absoluteError(logProbs.flat(), wanted)).toBeLessThan(info.tolerance.logits.suggested_atol);
  });

  it('merged weights', async () => {
    const weightFile = await convertedWeights(model, cachePath);
    const path = join(cachePath, 'merged.safetensors');
    await writeMergedWeights(weightFile, await readAdapter(adapterPath, weightFile.config), path, { threads: 1 });
    const [merged, wanted] = [
      await readSafetensors(path),
      await readSafetensors(join(folder, info.merged_dir, 'model.safetensors')),
    ];
    expect([...merged.tensors.keys()].sort()).toEqual([...wanted.tensors.keys()].sort());
    for (const tensor of wanted.tensors.keys()) {
      expect(absoluteError(await merged.readFloat32(tensor), await wanted.readFloat32(tensor)), tensor).toBeLessThan(
        info.tolerance['merged weights'].suggested_atol,
      );
    }
    await Promise.all([merged.close(), wanted.close()]);
  });
});
