import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import { readAdapter } from '../../engine/model/adapter.ts';
import { writeMergedWeights } from '../../engine/model/mergedWeights.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import { Trainer } from '../../engine/train/trainer.ts';
import { absoluteError, describeGolden, goldenArrays, goldenCase, GOLDEN_DIR } from './golden.ts';

interface LoraCase {
  model_dir: string;
  batch: { rows: number[][]; row_offsets: number[] };
  scaling_by_module: Record<string, number>;
  tolerance: { logits: { suggested_atol: number }; 'merged weights': { suggested_atol: number } };
}

describeGolden('LoRA adapters against PEFT', () => {
  let cachePath: string;
  beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'lora-'))));
  afterAll(() => rmSync(cachePath, { recursive: true }));

  it.each(['plain', 'query_value_only', 'rank_pattern', 'rslora'])(
    '%s: scales, log-probabilities, merged weights',
    async (name) => {
      const golden = goldenCase<LoraCase>(`lora/${name}`);
      const folder = join(GOLDEN_DIR, 'lora', name);
      const model = { modelPath: join(folder, golden.model_dir), modelDigest: name };
      const weightFile = await convertedWeights(model, cachePath);
      const adapter = await readAdapter(join(folder, 'adapter'), weightFile.config);
      for (const { module, scale } of adapter.modules)
        expect(scale, module).toBeCloseTo(golden.scaling_by_module[module]!, 12);
      expect(adapter.modules.length).toBeGreaterThanOrEqual(Object.keys(golden.scaling_by_module).length);

      const expected = await goldenArrays(`lora/${name}`);
      const logits = await expected.read('adapter_logits_f64');
      const vocabulary = weightFile.config.vocabularySize;
      const sequences = golden.batch.rows.map((row, i) => ({
        id: `row ${i}`,
        promptTokens: row.slice(0, 1),
        completionTokens: row.slice(1),
      }));
      const trainer = new Trainer({ threads: 1, device: 'cpu', decodeBatch: 1, microBatchTokens: 4096, cachePath });
      const logProbs = await trainer.logProbs({
        policy: { ...model, adapterPath: join(folder, 'adapter') },
        sequences,
        temperature: 1,
      });
      await trainer.release();
      const reference = golden.batch.rows.flatMap((row, i) =>
        row.slice(1).map((token, position) => {
          const at = golden.batch.row_offsets[i]! + position;
          const ofToken = logits.subarray(at * vocabulary, (at + 1) * vocabulary);
          const largest = Math.max(...ofToken);
          return (
            ofToken[token]! - largest - Math.log(ofToken.reduce((sum, logit) => sum + Math.exp(logit - largest), 0))
          );
        }),
      );
      expect(absoluteError(logProbs.flat(), reference)).toBeLessThan(golden.tolerance.logits.suggested_atol);
      await expected.close();

      const path = join(cachePath, `merged-${name}.safetensors`);
      await writeMergedWeights(weightFile, adapter, path, { threads: 1 });
      const [merged, wanted] = [
        await readSafetensors(path),
        await readSafetensors(join(folder, 'merged', 'model.safetensors')),
      ];
      expect([...merged.tensors.keys()].sort()).toEqual([...wanted.tensors.keys()].sort());
      for (const tensor of wanted.tensors.keys()) {
        expect(absoluteError(await merged.readFloat32(tensor), await wanted.readFloat32(tensor)), tensor).toBeLessThan(
          golden.tolerance['merged weights'].suggested_atol,
        );
      }
      await merged.close();
      await wanted.close();
    },
  );
});
