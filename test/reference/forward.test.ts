import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createAdapter } from '../../engine/model/createAdapter.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import { openModel } from '../../engine/model/weights.ts';
import { Trainer } from '../../engine/train/trainer.ts';
import { testDevice } from '../gpu/testDevice.ts';
import { logitsOf } from './decoderGraph.ts';
import { absoluteError, describeCases, goldenArrays } from './golden.ts';

interface ForwardCase {
  model_dir: string;
  batch: { rows: number[][] };
  tolerance: Record<'logits' | 'logprobs', { suggested_atol: number }>;
}

/** `t1`, `t07`, `t15`: the digits of a temperature without its point. */
const temperatureOf = (digits: string) => Number(digits.length > 1 ? `${digits[0]}.${digits.slice(1)}` : digits);

describeCases<ForwardCase>('forward', 'the forward pass', (golden) => {
  const { batch, tolerance } = golden.info;
  const modelPath = join(golden.folder, golden.info.model_dir);
  const sequences = batch.rows.map((row, i) => ({
    id: `row ${i}`,
    promptTokens: row.slice(0, 1),
    completionTokens: row.slice(1),
  }));
  let cachePath: string;
  beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'forward-'))));
  afterAll(() => rmSync(cachePath, { recursive: true }));

  it('logits at every token', async () => {
    const weightFile = await convertedWeights({ modelPath, modelDigest: 'model' }, cachePath);
    const expected = await goldenArrays(golden);
    const logits = await logitsOf(weightFile, batch.rows);
    expect(absoluteError(logits, await expected.read('logits_f64'))).toBeLessThan(tolerance.logits.suggested_atol);
    await expected.close();
  });

  it("log-probabilities of the trainer's graph, at every temperature", async () => {
    const expected = await goldenArrays(golden);
    const trainer = new Trainer({ threads: 2, device: testDevice, decodeBatch: 1, microBatchTokens: 4096, cachePath });
    const temperatures = expected.names.flatMap((name) => /^logprobs_t(\d+)_f64$/.exec(name)?.slice(1) ?? []);
    expect(temperatures).not.toEqual([]);
    for (const digits of temperatures) {
      const policy = { modelPath, modelDigest: 'model' };
      const logProbs = await trainer.logProbs({ policy, sequences, temperature: temperatureOf(digits) });
      expect(absoluteError(logProbs.flat(), await expected.read(`logprobs_t${digits}_f64`)), digits).toBeLessThan(
        tolerance.logprobs.suggested_atol,
      );
    }
    await trainer.release();
    await expected.close();
  });

  it("the trainer's mean entropy of each row", async () => {
    const expected = await goldenArrays(golden);
    const entropies = await expected.read('entropy_t1_f64');
    await expected.close();
    const model = { modelPath, modelDigest: 'model' };
    const adapterPath = join(cachePath, 'adapter');
    // Its B is zero: the model stays what it is.
    const lora = { rank: 1, alpha: 1, targets: ['q_proj'], rankStabilized: false };
    await createAdapter({ model, lora, seed: 'seed', outputPath: adapterPath, baseModelName: 'tiny' });
    const trainer = new Trainer({ threads: 2, device: 'cpu', decodeBatch: 1, microBatchTokens: 4096, cachePath });
    const result = await trainer.gradients({
      model,
      adapterPath,
      sequences: sequences.map((sequence) => ({ ...sequence, weight: 1 })),
      objective: { name: 'sft' },
      outputPath: join(cachePath, 'gradient.safetensors'),
    });
    await trainer.release();
    let start = 0;
    const wanted = batch.rows.map((row) => {
      const own = entropies.subarray(start, start + row.length - 1);
      start += row.length;
      return own.reduce((sum, entropy) => sum + entropy, 0) / own.length;
    });
    const actual = result.sequences.map(({ entropy }) => entropy);
    expect(absoluteError(actual, wanted)).toBeLessThan(tolerance.logprobs.suggested_atol);
  });

  it('a config.json of Transformers before version 5 says the same', async () => {
    const legacy = join(cachePath, 'legacy');
    mkdirSync(legacy);
    copyFileSync(join(modelPath, 'config.legacy.json'), join(legacy, 'config.json'));
    copyFileSync(join(modelPath, 'model.safetensors'), join(legacy, 'model.safetensors'));
    const [old, current] = [await openModel(legacy), await openModel(modelPath)];
    expect(old.config).toEqual(current.config);
    await Promise.all([old.close(), current.close()]);
  });
});
