import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import type { Objective, TrainingSequence } from '../../engine/policy.ts';
import { Trainer } from '../../engine/train/trainer.ts';
import { update } from '../../engine/train/update.ts';
import { absoluteError, describeGolden, goldenArrays, goldenCase, GOLDEN_DIR, relativeError } from './golden.ts';

interface TrainCase {
  objective: {
    loss_type: 'grpo' | 'dapo';
    beta: number;
    temperature: number;
    epsilon: number;
    epsilon_high: number;
    use_bias_correction_kl: boolean;
  };
  optimizer: {
    betas: [number, number];
    eps: number;
    weight_decay: number;
    max_grad_norm: number;
    learning_rates: number[];
  };
  batch: { prompts: number[][]; completions: number[][]; advantages: number[] };
  steps: { f64: { losses: number[]; grad_norms_before_clipping: number[]; ratio_clip_fraction: number[] } };
  tolerance: { adapter: { suggested_atol: Record<string, number> } };
}

describeGolden('training steps against TRL and PEFT: gradients, norms, adapters, log-probabilities', () => {
  let folder: string;
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'train-'))));
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(['dapo_from_zero_B', 'grpo_kl'])('%s', async (name) => {
    const golden = goldenCase<TrainCase>(`train/${name}`);
    const expected = await goldenArrays(`train/${name}`);
    const trainer = new Trainer({ threads: 2, device: 'cpu', decodeBatch: 1, microBatchTokens: 64, cachePath: folder });
    const model = { modelPath: join(GOLDEN_DIR, 'forward/llama'), modelDigest: 'llama' };
    const { objective: settings, optimizer, batch } = golden;
    const sequences = batch.prompts.map((promptTokens, i) => ({
      id: `row ${i}`,
      promptTokens,
      completionTokens: batch.completions[i]!,
    }));
    const rowsOf = async (array: string) => {
      const values = await expected.read(array);
      const width = values.length / sequences.length;
      return sequences.flatMap(({ completionTokens }, i) => [
        ...values.slice(i * width, i * width + completionTokens.length),
      ]);
    };

    let adapterPath = join(folder, `${name}-0`);
    mkdirSync(adapterPath);
    for (const file of ['adapter_config.json', 'adapter_model.safetensors']) {
      copyFileSync(join(GOLDEN_DIR, 'train', name, 'adapter', file), join(adapterPath, file));
    }
    const old = await trainer.logProbs({
      policy: { ...model, adapterPath },
      sequences,
      temperature: settings.temperature,
    });
    expect(absoluteError(old.flat(), await rowsOf('old_logp_f64'))).toBeLessThan(3e-5);
    const base = await trainer.logProbs({ policy: model, sequences, temperature: settings.temperature });
    expect(absoluteError(base.flat(), await rowsOf('ref_logp_f64'))).toBeLessThan(3e-5);

    const objective: Objective = {
      name: 'grpo',
      clipLow: settings.epsilon,
      clipHigh: settings.epsilon_high,
      klWeight: settings.beta,
      klEstimator: 'k3',
      klRatioCorrection: settings.use_bias_correction_kl,
      temperature: settings.temperature,
    };
    const allTokens = batch.completions.flat().length;
    const training = sequences.map((sequence, i): TrainingSequence => ({
      ...sequence,
      advantage: batch.advantages[i]!,
      oldLogProbs: old[i]!,
      // grpo: mean over rows of row means; dapo: mean over all tokens.
      weight: settings.loss_type === 'grpo' ? 1 / (sequences.length * sequence.completionTokens.length) : 1 / allTokens,
    }));
    let optimizerStatePath: string | undefined;
    for (const [step, learningRate] of optimizer.learning_rates.entries()) {
      const gradientPath = join(folder, `${name}-gradient-${step + 1}.safetensors`);
      const result = await trainer.gradients({
        model,
        adapterPath,
        reference: 'base',
        sequences: training,
        objective,
        outputPath: gradientPath,
      });
      const total = (valueOf: (metrics: (typeof result.sequences)[number]) => number) =>
        result.sequences.reduce((sum, metrics) => sum + valueOf(metrics), 0);
      expect(total(({ loss }) => loss)).toBeCloseTo(golden.steps.f64.losses[step]!, 5);
      const clipped =
        total((metrics) => (metrics.clipFractionLow + metrics.clipFractionHigh) * metrics.tokens) / allTokens;
      expect(clipped).toBeCloseTo(golden.steps.f64.ratio_clip_fraction[step]!, 6);
      const gradient = await readSafetensors(gradientPath);
      for (const tensor of gradient.tensors.keys()) {
        const reference = await expected.read(`step_${step + 1}/grad_f64/${tensor}`);
        expect(
          relativeError(await gradient.readFloat64(tensor), reference),
          `step ${step + 1}, ${tensor}`,
        ).toBeLessThan(1e-4);
      }
      await gradient.close();

      const outputAdapterPath = join(folder, `${name}-${step + 1}`);
      const outputOptimizerStatePath = join(folder, `${name}-optimizer-${step + 1}.safetensors`);
      const updated = await update({
        adapterPath,
        optimizerStatePath,
        gradientPaths: [gradientPath],
        optimizer: {
          learningRate,
          beta1: optimizer.betas[0],
          beta2: optimizer.betas[1],
          epsilon: optimizer.eps,
          weightDecay: optimizer.weight_decay,
          maxGradNorm: optimizer.max_grad_norm,
        },
        outputAdapterPath,
        outputOptimizerStatePath,
      });
      expect(updated.step).toBe(step + 1);
      expect(updated.clipped).toBe(true);
      expect(Math.abs(updated.gradNorm / golden.steps.f64.grad_norms_before_clipping[step]! - 1)).toBeLessThan(1e-5);
      const adapter = await readSafetensors(join(outputAdapterPath, 'adapter_model.safetensors'));
      for (const tensor of adapter.tensors.keys()) {
        const reference = await expected.read(`step_${step + 1}/adapter_f64/${tensor}`);
        const tolerance = golden.tolerance.adapter.suggested_atol[`step_${step + 1}/adapter`]!;
        expect(absoluteError(await adapter.readFloat64(tensor), reference), `step ${step + 1}, ${tensor}`).toBeLessThan(
          tolerance,
        );
      }
      await adapter.close();
      adapterPath = outputAdapterPath;
      optimizerStatePath = outputOptimizerStatePath;
      const now = await trainer.logProbs({
        policy: { ...model, adapterPath },
        sequences,
        temperature: settings.temperature,
      });
      expect(absoluteError(now.flat(), await rowsOf(`step_${step + 1}/logp_f64`))).toBeLessThan(2e-4);
    }
    await trainer.release();
    await expected.close();
  });
});
