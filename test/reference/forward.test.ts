import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Trainer } from '../../engine/train/trainer.ts';
import { absoluteError, describeGolden, goldenArrays, goldenCase, GOLDEN_DIR } from './golden.ts';

interface ForwardCase {
  batch: { rows: number[][] };
  tolerance: { logprobs: { suggested_atol: number } };
}

const CASES = ['llama', 'llama_rope_llama3', 'mistral', 'mistral_sliding_window', 'qwen2', 'qwen3', 'smollm_tied'];

describeGolden('log-probabilities of the trainer graph against Transformers', () => {
  let cachePath: string;
  beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'forward-'))));
  afterAll(() => rmSync(cachePath, { recursive: true }));

  it.each(CASES)('%s, temperatures 1 and 0.7', async (name) => {
    const golden = goldenCase<ForwardCase>(`forward/${name}`);
    const expected = await goldenArrays(`forward/${name}`);
    const trainer = new Trainer({ threads: 2, device: 'cpu', decodeBatch: 1, microBatchTokens: 4096, cachePath });
    const sequences = golden.batch.rows.map((row, i) => ({
      id: `row ${i}`,
      promptTokens: row.slice(0, 1),
      completionTokens: row.slice(1),
    }));
    for (const [temperature, key] of [
      [1, 'logprobs_t1_f64'],
      [0.7, 'logprobs_t07_f64'],
    ] as const) {
      const policy = { modelPath: join(GOLDEN_DIR, 'forward', name), modelDigest: name };
      const logProbs = await trainer.logProbs({ policy, sequences, temperature });
      expect(absoluteError(logProbs.flat(), await expected.read(key))).toBeLessThan(
        golden.tolerance.logprobs.suggested_atol,
      );
    }
    await trainer.release();
    await expected.close();
  });
});
