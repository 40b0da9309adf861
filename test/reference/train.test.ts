import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import type { Objective, TrainingSequence } from '../../engine/policy.ts';
import { Trainer } from '../../engine/train/trainer.ts';
import { update } from '../../engine/train/update.ts';
import { testDevice } from '../gpu/testDevice.ts';
import { absoluteError, describeCases, goldenArrays, relativeError } from './golden.ts';
import { lossWeights } from './lossNormaliser.ts';

interface TrainCase {
  model_dir: string;
  adapter_dir: string;
  objective: {
    loss_type: string;
    beta: number;
    temperature: number;
    epsilon: number;
    epsilon_high: number;
    use_bias_correction_kl: boolean;
    max_completion_length: number;
  };
  optimizer: {
    betas: [number, number];
    eps: number;
    weight_decay: number;
    max_grad_norm: number;
    learning_rates: number[];
  };
  batch: { prompts: number[][]; completions: number[][]; advantages: number[]; completion_mask: number[][] };
  steps: { f64: { losses: number[]; grad_norms_before_clipping: number[]; ratio_clip_fraction: number[] } };
  tolerance: { adapter: { suggested_atol: Record<string, number> } };
}

describeCases<TrainCase>('train', 'training steps', (golden) => {
  let folder: string;
  beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'train-'))));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('gradients, norms, adapters, log-probabilities', async () => {
    const { info } = golden;
    const expected = await goldenArrays(golden);
    const trainer = new Trainer({
      threads: 2,
      device: testDevice,
      decodeBatch: 1,
      microBatchTokens: 64,
      cachePath: folder,
    });
    const model = { modelPath: join(golden.folder, info.model_dir), modelDigest: 'model' };
    const { objective: settings, optimizer, batch } = info;
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

    let adapterPath = join(folder, 'adapter-0');
    mkdirSync(adapterPath);
    for (const file of ['adapter_config.json', 'adapter_model.safetensors']) {
      copyFileSync(join(golden.folder, info.adapter_dir, file), join(adapterPath, file));
    }
    const { temperature } = settings;
    const old = await trainer.logProbs({ policy: { ...model, adapterPath }, sequences, temperature });
    expect(absoluteError(old.flat(), await rowsOf('old_logp_f64'))).toBeLessThan(3e-5);
    const base = await trainer.logProbs({ policy: model, sequences, temperature });
    expect(absoluteError(base.flat(), await rowsOf('ref_logp_f64'))).toBeLessThan(3e-5);

    const objective: Objective = {
      name: 'grpo',
      clipLow: settings.epsilon,
      clipHigh: settings.epsilon_high,
      klWeight: settings.beta,
      klEstimator: 'k3',
      klRatioCorrection: settings.use_bias_correction_kl,
      temperature,
    };
    const allTokens = batch.completions.flat().length;
    const weights = lossWeights(settings.loss_type, {
      mask: batch.completion_mask.flat(),
      rows: sequences.length,
      microBatches: 1,
      maxCompletionLength: settings.max_completion_length,
    });
    const training = sequences.map((sequence, i): TrainingSequence => ({
      ...sequence,
      advantage: batch.advantages[i]!,
      oldLogProbs: old[i]!,
      weight: weights[i * (weights.length / sequences.length)]!,
    }));
    let optimizerStatePath: string | undefined;
    for (const [step, learningRate] of optimizer.learning_rates.entries()) {
      const gradientPath = join(folder, `gradient-${step + 1}.safetensors`);
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
      expect(total(({ loss }) => loss)).toBeCloseTo(info.steps.f64.losses[step]!, 5);
      const clipped =
        total((metrics) => (metrics.clipFractionLow + metrics.clipFractionHigh) * metrics.tokens) / allTokens;
      expect(clipped).toBeCloseTo(info.steps.f64.ratio_clip_fraction[step]!, 6);
      const gradient = await readSafetensors(gradientPath);
      for (const tensor of gradient.tensors.keys()) {
        const reference = await expected.read(`step_${step + 1}/grad_f64/${tensor}`);
        expect(
          relativeError(await gradient.readFloat64(tensor), reference),
          `step ${step + 1}, ${tensor}`,
        ).toBeLessThan(1e-4);
      }
      await gradient.close();

      const outputAdapterPath = join(folder, `adapter-${step + 1}`);
      const outputOptimizerStatePath = join(folder, `optimizer-${step + 1}.safetensors`);
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
      const norm = info.steps.f64.grad_norms_before_clipping[step]!;
      expect(updated.step).toBe(step + 1);
      expect(updated.clipped).toBe(norm > optimizer.max_grad_norm);
      expect(Math.abs(updated.gradNorm / norm - 1)).toBeLessThan(1e-5);
      const adapter = await readSafetensors(join(outputAdapterPath, 'adapter_model.safetensors'));
      for (const tensor of adapter.tensors.keys()) {
        const reference = await expected.read(`step_${step + 1}/adapter_f64/${tensor}`);
        const tolerance = info.tolerance.adapter.suggested_atol[`step_${step + 1}/adapter`]!;
        expect(absoluteError(await adapter.readFloat64(tensor), reference), `step ${step + 1}, ${tensor}`).toBeLessThan(
          tolerance,
        );
      }
      await adapter.close();
      adapterPath = outputAdapterPath;
      optimizerStatePath = outputOptimizerStatePath;
      const now = await trainer.logProbs({ policy: { ...model, adapterPath }, sequences, temperature });
      expect(absoluteError(now.flat(), await rowsOf(`step_${step + 1}/logp_f64`))).toBeLessThan(2e-4);
    }
    await trainer.release();
    await expected.close();
  });
});
