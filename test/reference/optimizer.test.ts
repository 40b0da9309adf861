import { expect, it } from 'vitest';
import { scheduledLearningRate } from '../../alignment/schedules.ts';
import { adamW } from '../../engine/train/update.ts';
import { absoluteError, describeCases, goldenArrays, largestOf } from './golden.ts';

interface AdamWCase {
  hyperparameters: { betas: [number, number]; eps: number; weight_decay: number };
  variants: Record<
    string,
    { max_grad_norm: number | null; learning_rates: number[]; grad_norms_before_clipping: number[] }
  >;
  tolerance: { 'float32 engine': number };
}

describeCases<AdamWCase>('adamW', 'AdamW and clipping of the global norm', (golden) => {
  const { hyperparameters, variants, tolerance } = golden.info;

  it.each(Object.keys(variants))('%s', async (name) => {
    const [inputs, expected] = [await goldenArrays(golden, 'inputs.safetensors'), await goldenArrays(golden)];
    const { max_grad_norm: limit, learning_rates: rates, grad_norms_before_clipping: norms } = variants[name]!;
    const tensors = inputs.names.flatMap((array) => /^start\/(.*)$/.exec(array)?.slice(1) ?? []).sort();
    const joined = async (prefix: string, source: typeof inputs, suffix = '') => {
      const parts = [];
      for (const tensor of tensors) parts.push(...(await source.read(`${prefix}/${tensor}${suffix}`)));
      return parts;
    };
    const parameters = Float32Array.from(await joined('start', inputs));
    const [m, v] = [new Float32Array(parameters.length), new Float32Array(parameters.length)];
    expect(parameters.length).toBeGreaterThan(0);
    for (const [step, learningRate] of rates.entries()) {
      const gradient = Float32Array.from(await joined(`grad_${step + 1}`, inputs));
      const { gradNorm, clipped } = adamW({ parameters, m, v, step }, gradient, {
        learningRate,
        beta1: hyperparameters.betas[0],
        beta2: hyperparameters.betas[1],
        epsilon: hyperparameters.eps,
        weightDecay: hyperparameters.weight_decay,
        maxGradNorm: limit ?? 0,
      });
      const norm = norms[step];
      if (norm !== undefined) expect(gradNorm / norm).toBeCloseTo(1, 6);
      expect(clipped).toBe(limit !== null && gradNorm + 1e-6 > limit);
      for (const [actual, suffix] of [
        [parameters, ''],
        [m, '.exp_avg'],
        [v, '.exp_avg_sq'],
      ] as const) {
        const reference = await joined(`${name}_f64/step_${step + 1}`, expected, suffix);
        expect(absoluteError(actual, reference), `step ${step + 1}${suffix}`).toBeLessThan(
          tolerance['float32 engine'] * Math.max(1, largestOf(reference)),
        );
      }
    }
    await Promise.all([inputs.close(), expected.close()]);
  });
});

interface SchedulesCase {
  peak_learning_rate: number;
  warmup_steps: number;
  total_steps: number;
  tolerance: { relative: number };
  arrays: Record<'expected.safetensors', Record<string, unknown>>;
}

/** Transformers' schedules that are not offered. */
const OTHER_SCHEDULES = ['cosine_with_min_lr'];

describeCases<SchedulesCase>('schedules', 'learning rates as Transformers schedules them', (golden) => {
  const { peak_learning_rate: peak, warmup_steps: warmup, total_steps: total, tolerance } = golden.info;
  const names = Object.keys(golden.info.arrays['expected.safetensors']).filter(
    (name) => !OTHER_SCHEDULES.includes(name),
  );

  it.each(names)('%s', async (name) => {
    const [, schedule, warm] = /^(constant|linear|cosine)_(with|without)_warmup$/.exec(name) ?? [];
    if (!schedule) throw new Error(`this test does not know Transformers' schedule '${name}'`);
    const file = await goldenArrays(golden);
    const expected = await file.read(name);
    await file.close();
    const settings = {
      schedule: schedule as 'constant' | 'linear' | 'cosine',
      learningRate: peak,
      warmupRatio: warm === 'with' ? warmup / total : 0,
    };
    for (let step = 1; step <= total; step++) {
      const difference = Math.abs(scheduledLearningRate(settings, step, total) - expected[step - 1]!);
      expect(difference, `step ${step}`).toBeLessThanOrEqual(tolerance.relative * peak);
    }
  });
});
