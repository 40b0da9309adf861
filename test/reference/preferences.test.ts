/** DPO and KTO against the numbers of TRL (float64), and their token weights against its gradients. */
import { expect, it } from 'vitest';
import { dpo } from '../../alignment/preferences/dpo.ts';
import type { DpoSettings } from '../../alignment/preferences/dpo.ts';
import { kto } from '../../alignment/preferences/kto.ts';
import type { KtoSettings } from '../../alignment/preferences/kto.ts';
import { tokenWeight } from '../../alignment/preferences/sequenceScore.ts';
import type { GoldenCase } from './golden.ts';
import { absoluteError, describeCases, goldenArrays } from './golden.ts';

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

const dpoLosses = ['sigmoid', 'hinge', 'ipo', 'robust', 'sigmoid-norm'];
const ktoLosses: Record<string, KtoSettings['loss']> = { kto: 'kto', apo_zero_unpaired: 'apo-zero' };

/** Our name of TRL's loss. */
function lossNamed(name: string): DpoSettings['loss'] {
  const own = name.replace('_', '-');
  if (!dpoLosses.includes(own)) throw new Error(`TRL's DPO loss '${name}' is not among ours`);
  return own as DpoSettings['loss'];
}

async function arraysOf(golden: GoldenCase, names: string[]): Promise<Float64Array[]> {
  const file = await goldenArrays(golden, 'inputs.safetensors');
  const arrays = [];
  for (const name of names) arrays.push(await file.read(name));
  await file.close();
  return arrays;
}

describeCases<DpoCase>('dpo', 'DPO as TRL computes it', (golden) => {
  const { results } = golden.info;
  const tolerance = golden.info.tolerance['float64 engine'];

  it.each(Object.keys(results))('%s', async (name) => {
    const { config, loss_f64: loss } = results[name]!;
    const [logProbs, mask, chosen, rejected, referenceChosen, referenceRejected] = (await arraysOf(golden, [
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
    // Several losses are added, SFT on the chosen completions among them.
    const chosenTokens = pairs.reduce((sum, pair) => sum + pair.chosen.tokens, 0);
    const coefficients = pairs.map(() => ({ chosen: 0, rejected: 0 }));
    let total = 0;
    let sftWeight = 0;
    for (const [i, name] of config.loss_type.entries()) {
      const weight = config.loss_weights?.[i] ?? 1;
      if (name === 'sft') {
        sftWeight += weight;
        const ofChosen = logProbs.subarray(0, count * (width - 1));
        total -= (weight * ofChosen.reduce((sum, value, at) => sum + trained[at]! * value, 0)) / chosenTokens;
        continue;
      }
      const result = dpo(pairs, {
        loss: lossNamed(name),
        beta: config.beta,
        ...(config.label_smoothing === undefined ? {} : { labelSmoothing: config.label_smoothing }),
      });
      total += weight * result.loss;
      for (const [pair, { chosen: ofChosen, rejected: ofRejected }] of result.coefficients.entries()) {
        coefficients[pair]!.chosen += weight * ofChosen;
        coefficients[pair]!.rejected += weight * ofRejected;
      }
    }
    expect(Math.abs(total - loss)).toBeLessThanOrEqual(tolerance * Math.max(1, loss));

    const expected = await goldenArrays(golden);
    // The trainer takes weights of tokens for its objective `sft`, whose gradient is -weight.
    const weights = [
      ...coefficients.map((pair) => tokenWeight(pair.chosen) + sftWeight / chosenTokens),
      ...coefficients.map((pair) => tokenWeight(pair.rejected)),
    ];
    const gradient = trained.map((value, i) => value * -weights[Math.floor(i / (width - 1))]!);
    expect(absoluteError(gradient, await expected.read(`${name}.grad_token_f64`))).toBeLessThanOrEqual(tolerance);
    for (const side of ['chosen', 'rejected'] as const) {
      if (!expected.names.includes(`${name}.grad_${side}_f64`)) continue;
      const own = coefficients.map((pair) => pair[side]);
      expect(absoluteError(own, await expected.read(`${name}.grad_${side}_f64`))).toBeLessThanOrEqual(tolerance);
    }
    await expected.close();
  });
});

describeCases<KtoCase>('kto', 'KTO as TRL computes it', (golden) => {
  const { results } = golden.info;
  const tolerance = golden.info.tolerance['float64 engine'];

  it.each(Object.keys(results))('%s', async (name) => {
    const { config, kl_ref_logps: klReference, loss_f64: loss, kl_estimate: klEstimate } = results[name]!;
    const [logProbs, references, desirable, klLogProbs, klReferences] = (await arraysOf(golden, [
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
        loss: ktoLosses[config.loss_type ?? 'kto']!,
        beta: config.beta,
        desirableWeight: config.desirable_weight ?? 1,
        undesirableWeight: config.undesirable_weight ?? 1,
      },
    );
    const expected = await goldenArrays(golden);
    expect(Math.abs(result.loss - loss)).toBeLessThanOrEqual(tolerance);
    expect(Math.abs(result.klEstimate - klEstimate)).toBeLessThanOrEqual(tolerance);
    expect(absoluteError(result.coefficients, await expected.read(`${name}.grad_f64`))).toBeLessThanOrEqual(tolerance);
    await expected.close();
  });
});
