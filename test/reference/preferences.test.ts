/** DPO and KTO against the numbers of TRL (float64), and their token weights against its gradients. */
import { expect, it } from 'vitest';
import { dpo } from '../../alignment/preferences/dpo.ts';
import type { DpoSettings } from '../../alignment/preferences/dpo.ts';
import { kto } from '../../alignment/preferences/kto.ts';
import { tokenWeight } from '../../alignment/preferences/sequenceScore.ts';
import { absoluteError, describeGolden, goldenArrays, goldenCase } from './golden.ts';

interface DpoCase {
  results: Record<
    string,
    {
      config: { beta: number; loss_type: string[]; label_smoothing?: number; loss_weights?: number[] };
      loss_f64: number;
    }
  >;
  tolerance: { 'float64 engine': number };
}
interface KtoCase {
  results: Record<
    string,
    {
      config: { beta: number; loss_type?: string; desirable_weight?: number; undesirable_weight?: number };
      kl_ref_logps: string;
      loss_f64: number;
      kl_estimate: number;
    }
  >;
  tolerance: { 'float64 engine': number };
}

async function arraysOf(path: string, names: string[]): Promise<Float64Array[]> {
  const file = await goldenArrays(path, 'inputs.safetensors');
  const arrays = [];
  for (const name of names) arrays.push(await file.read(name));
  await file.close();
  return arrays;
}

describeGolden('DPO as TRL computes it', () => {
  const golden = goldenCase<DpoCase>('objectives/dpo');
  const tolerance = golden.tolerance['float64 engine'];

  it.each(Object.keys(golden.results))('%s', async (name) => {
    const { config, loss_f64: loss } = golden.results[name]!;
    const [logProbs, mask, chosen, rejected, referenceChosen, referenceRejected] = (await arraysOf('objectives/dpo', [
      'logp',
      'completion_mask',
      'chosen_logps',
      'rejected_logps',
      'ref_chosen_logps',
      'ref_rejected_logps',
    ])) as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
    const count = chosen.length;
    const width = mask.length / (2 * count);
    /** Whether the token that a log-probability belongs to is trained: [2 count, width - 1]. */
    const trained = logProbs.map((_, i) => mask[Math.floor(i / (width - 1)) * width + (i % (width - 1)) + 1]!);
    const tokensOf = (row: number) =>
      trained.subarray(row * (width - 1), (row + 1) * (width - 1)).reduce((sum, value) => sum + value, 0);
    const pairs = Array.from(chosen, (logProb, i) => ({
      chosen: { logProb, referenceLogProb: referenceChosen[i]!, tokens: tokensOf(i) },
      rejected: { logProb: rejected[i]!, referenceLogProb: referenceRejected[i]!, tokens: tokensOf(count + i) },
    }));
    const result = dpo(pairs, {
      loss: config.loss_type[0]!.replace('_', '-') as DpoSettings['loss'],
      beta: config.beta,
      ...(config.label_smoothing === undefined ? {} : { labelSmoothing: config.label_smoothing }),
    });
    // A second loss, SFT on the chosen completions, adds its own weights.
    const sftWeight = config.loss_type[1] === 'sft' ? config.loss_weights![1]! : 0;
    const chosenTokens = pairs.reduce((sum, pair) => sum + pair.chosen.tokens, 0);
    const weights = [
      ...result.coefficients.map((pair) => tokenWeight(pair.chosen) + sftWeight / chosenTokens),
      ...result.coefficients.map((pair) => tokenWeight(pair.rejected)),
    ];
    const sft = logProbs.reduce(
      (sum, value, i) => (i < count * (width - 1) ? sum - (trained[i]! * value) / chosenTokens : sum),
      0,
    );
    expect(Math.abs(result.loss + sftWeight * sft - loss)).toBeLessThanOrEqual(tolerance * Math.max(1, loss));

    const expected = await goldenArrays('objectives/dpo');
    // The objective `sft` has the gradient -weight.
    const gradient = trained.map((value, i) => value * -weights[Math.floor(i / (width - 1))]!);
    expect(absoluteError(gradient, await expected.read(`${name}.grad_token_f64`))).toBeLessThanOrEqual(tolerance);
    for (const side of ['chosen', 'rejected'] as const) {
      if (!expected.names.includes(`${name}.grad_${side}_f64`)) continue;
      const own = result.coefficients.map((pair) => pair[side]);
      expect(absoluteError(own, await expected.read(`${name}.grad_${side}_f64`))).toBeLessThanOrEqual(tolerance);
    }
    await expected.close();
  });
});

describeGolden('KTO as TRL computes it', () => {
  const golden = goldenCase<KtoCase>('objectives/kto');
  const tolerance = golden.tolerance['float64 engine'];

  it.each(Object.keys(golden.results))('%s', async (name) => {
    const { config, kl_ref_logps: klReference, loss_f64: loss, kl_estimate: klEstimate } = golden.results[name]!;
    const [logProbs, references, desirable, klLogProbs, klReferences] = (await arraysOf('objectives/kto', [
      'logps',
      'ref_logps',
      'desirable',
      'kl_logps',
      klReference,
    ])) as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array];
    const result = kto(
      Array.from(logProbs, (logProb, i) => ({
        logProb,
        referenceLogProb: references[i]!,
        desirable: desirable[i] === 1,
      })),
      Array.from(klLogProbs, (logProb, i) => ({ logProb, referenceLogProb: klReferences[i]! })),
      {
        loss: config.loss_type === 'apo_zero_unpaired' ? 'apo-zero' : 'kto',
        beta: config.beta,
        desirableWeight: config.desirable_weight ?? 1,
        undesirableWeight: config.undesirable_weight ?? 1,
      },
    );
    const expected = await goldenArrays('objectives/kto');
    expect(Math.abs(result.loss - loss)).toBeLessThanOrEqual(tolerance);
    expect(Math.abs(result.klEstimate - klEstimate)).toBeLessThanOrEqual(tolerance);
    expect(absoluteError(result.coefficients, await expected.read(`${name}.grad_f64`))).toBeLessThanOrEqual(tolerance);
    await expected.close();
  });
});
