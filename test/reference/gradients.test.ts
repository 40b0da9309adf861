import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Trainer } from '../../engine/train/trainer.ts';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import { describeGolden, goldenArrays, goldenCase, GOLDEN_DIR, relativeError } from './golden.ts';

interface GradientCase {
  batch: { rows: number[][] };
  prompt_lengths: number[];
  completion_tokens: number;
  lora: { loss_f64: number; adapter_dir: string };
  tolerance: { lora: { suggested_atol: number } };
}

const CASES = ['llama', 'llama_rope_llama3', 'mistral', 'qwen2', 'qwen3', 'smollm_tied'];

describeGolden('LoRA gradients of the mean cross entropy against PEFT', () => {
  let cachePath: string;
  beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'gradients-'))));
  afterAll(() => rmSync(cachePath, { recursive: true }));

  it.each(CASES)('%s', async (name) => {
    const golden = goldenCase<GradientCase>(`gradients/${name}`);
    const expected = await goldenArrays(`gradients/${name}`);
    const trainer = new Trainer({ threads: 2, device: 'cpu', decodeBatch: 1, microBatchTokens: 4096, cachePath });
    const outputPath = join(cachePath, `${name}.safetensors`);
    const result = await trainer.gradients({
      model: { modelPath: join(GOLDEN_DIR, 'forward', name), modelDigest: name },
      adapterPath: join(GOLDEN_DIR, 'gradients', name, golden.lora.adapter_dir),
      sequences: golden.batch.rows.map((row, i) => ({
        id: `row ${i}`,
        promptTokens: row.slice(0, golden.prompt_lengths[i]),
        completionTokens: row.slice(golden.prompt_lengths[i]),
        weight: 1 / golden.completion_tokens,
      })),
      objective: { name: 'sft' },
      outputPath,
    });
    await trainer.release();
    expect(result.sequences.reduce((sum, { loss }) => sum + loss, 0)).toBeCloseTo(golden.lora.loss_f64, 4);
    const actual = await readSafetensors(outputPath);
    const names = expected.names.filter((array) => array.startsWith('lora_grad_f64/'));
    expect([...actual.tensors.keys()].sort()).toEqual(names.map((array) => array.replace('lora_grad_f64/', '')).sort());
    for (const array of names) {
      const tensor = array.replace('lora_grad_f64/', '');
      expect(relativeError(await actual.readFloat64(tensor), await expected.read(array)), tensor).toBeLessThan(
        golden.tolerance.lora.suggested_atol,
      );
    }
    await actual.close();
    await expected.close();
  });
});
