import { expect, it } from 'vitest';
import { adamW } from '../../engine/train/update.ts';
import { absoluteError, describeGolden, goldenArrays, goldenCase } from './golden.ts';

interface AdamWCase {
  hyperparameters: { betas: [number, number]; eps: number; weight_decay: number };
  variants: Record<
    string,
    { max_grad_norm: number | null; learning_rates: number[]; grad_norms_before_clipping: number[] }
  >;
}

describeGolden('AdamW and clipping of the global norm against torch.optim', () => {
  const golden = goldenCase<AdamWCase>('optimizer/adamw');

  it.each(Object.keys(golden.variants))('%s', async (name) => {
    const [inputs, expected] = [
      await goldenArrays('optimizer/adamw', 'inputs.safetensors'),
      await goldenArrays('optimizer/adamw'),
    ];
    const variant = golden.variants[name]!;
    const joined = async (prefix: string, source: typeof inputs, suffix = '') => {
      const parts = [];
      for (const tensor of ['a', 'b', 'c']) parts.push(...(await source.read(`${prefix}/${tensor}${suffix}`)));
      return parts;
    };
    const parameters = Float32Array.from(await joined('start', inputs));
    const [m, v] = [new Float32Array(parameters.length), new Float32Array(parameters.length)];
    for (const [step, learningRate] of variant.learning_rates.entries()) {
      const gradient = Float32Array.from(await joined(`grad_${step + 1}`, inputs));
      const { gradNorm, clipped } = adamW({ parameters, m, v, step }, gradient, {
        learningRate,
        beta1: golden.hyperparameters.betas[0],
        beta2: golden.hyperparameters.betas[1],
        epsilon: golden.hyperparameters.eps,
        weightDecay: golden.hyperparameters.weight_decay,
        maxGradNorm: variant.max_grad_norm ?? 0,
      });
      const norm = variant.grad_norms_before_clipping[step];
      if (norm !== undefined) expect(gradNorm / norm).toBeCloseTo(1, 6);
      expect(clipped).toBe(norm !== undefined && norm > 1);
      const at = `${name}_f64/step_${step + 1}`;
      expect(absoluteError(parameters, await joined(at, expected))).toBeLessThan(1e-6);
      expect(absoluteError(m, await joined(at, expected, '.exp_avg'))).toBeLessThan(1e-6);
      expect(absoluteError(v, await joined(at, expected, '.exp_avg_sq'))).toBeLessThan(1e-5);
    }
    await Promise.all([inputs.close(), expected.close()]);
  });
});
