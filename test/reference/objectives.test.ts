import { expect, it } from 'vitest';
import { Graph } from '../../engine/graph/builder.ts';
import { gradients } from '../../engine/graph/gradients.ts';
import * as op from '../../engine/graph/operators.ts';
import type { Objective } from '../../engine/policy.ts';
import { openSession } from '../../engine/session/session.ts';
import { klEstimate } from '../../engine/train/objectives/klEstimate.ts';
import { objectiveGraph } from '../../engine/train/objectives/objectiveGraph.ts';
import { describeCases, goldenArrays, relativeError } from './golden.ts';
import { lossWeights } from './lossNormaliser.ts';

interface PolicyGradientCase {
  results: Record<
    string,
    {
      config: {
        /** Absent for RLOO. */
        loss_type?: string;
        importance_sampling_level?: string;
        /** Absent for CISPO. */
        epsilon?: number;
        epsilon_high?: number;
        beta?: number;
        delta?: number;
        use_bias_correction_kl?: boolean;
        max_completion_length?: number;
      };
      old_logp: string;
      mask: string;
      micro_batches: number;
      metrics: Record<string, number>;
      loss_f64: number;
    }
  >;
  kl_token_means?: Partial<Record<'k1' | 'k2' | 'k3', number>>;
  tolerance: { 'float32 engine': { 'relative to max |grad|': number; loss: number } };
}

/** Loss and its gradient by the log-probabilities, for given streams (row-major [rows, tokens]). */
async function lossOf(
  objective: Objective,
  streams: Record<'logProbs' | 'old' | 'reference' | 'advantages' | 'weight', Float64Array>,
  onPolicy = false,
  sequenceOf = (_token: number) => 0,
) {
  const definition = objectiveGraph(objective);
  const graph = new Graph('objective');
  const input = (name: string) => graph.input(name, 'float32', ['tokens']);
  const [logProbs, old, reference, advantages, weight] = ['logProbs', 'old', 'reference', 'advantages', 'weight'].map(
    input,
  );
  const oldLogProbs = onPolicy ? op.stopGradient(logProbs!) : old!;
  const losses = definition.tokenLosses(
    {
      logProbs: logProbs!,
      oldLogProbs,
      referenceLogProbs: reference!,
      behaviourLogProbs: oldLogProbs,
      advantages: advantages!,
      sequences: {
        indices: graph.input('sequenceIndices', 'int64', ['tokens']),
        members: op.cast(op.not(op.equal(weight!, 0)), 'float32'),
      },
    },
    (name) => op.scalar(graph, definition.settings[name]!),
  );
  graph.output('loss', op.reduceSum(op.mul(losses.loss, weight!), [0]));
  if (losses.clippedLow) graph.output('clippedLow', losses.clippedLow);
  if (losses.clippedHigh) graph.output('clippedHigh', losses.clippedHigh);
  graph.output('gradient', gradients([{ value: losses.loss, seed: weight! }], [logProbs!])[0]!);
  const session = await openSession(graph, { threads: 1, device: 'cpu' });
  const shape = [streams.weight.length];
  const result = await session.run({
    ...Object.fromEntries(
      Object.entries(streams).map(([name, values]) => [name, { data: Float32Array.from(values), shape }]),
    ),
    sequenceIndices: { data: BigInt64Array.from(streams.weight, (_, token) => BigInt(sequenceOf(token))), shape },
  });
  await session.release();
  const values = (name: string) => result[name]?.data as Float32Array | undefined;
  return {
    loss: Number(result['loss']!.data[0]),
    gradient: values('gradient')!,
    clippedLow: values('clippedLow'),
    clippedHigh: values('clippedHigh'),
  };
}

const KNOWN_SETTINGS = [
  'loss_type',
  'importance_sampling_level',
  'epsilon',
  'epsilon_high',
  'beta',
  'delta',
  'use_bias_correction_kl',
  'max_completion_length',
];

/** The objective that a case's TRL settings stand for; RLOO has no loss type. */
function objectiveOf(config: PolicyGradientCase['results'][string]['config']): Objective {
  const unknown = Object.keys(config).filter((key) => !KNOWN_SETTINGS.includes(key));
  if (unknown.length > 0) throw new Error(`this test does not know TRL's setting ${unknown.join(', ')}`);
  const shared = {
    klWeight: config.beta ?? 0,
    klEstimator: 'k3',
    klRatioCorrection: config.use_bias_correction_kl ?? true,
    temperature: 1,
  } as const;
  if (config.loss_type === 'cispo') return { ...shared, name: 'cispo', ratioCap: config.epsilon_high! };
  const ratio = config.importance_sampling_level === 'sequence' ? 'gspo' : 'grpo';
  return {
    ...shared,
    name: config.loss_type === undefined ? 'rloo' : ratio,
    clipLow: config.epsilon!,
    clipHigh: config.epsilon_high ?? config.epsilon!,
    ...(config.delta === undefined ? {} : { ratioCap: config.delta }),
  };
}

describeCases<PolicyGradientCase>('policyGradient', 'objectives on given log-probabilities', (golden) => {
  const { info } = golden;
  const tolerance = info.tolerance['float32 engine'];

  it.each(Object.keys(info.results))('%s', async (name) => {
    const {
      config,
      mask: maskName,
      old_logp: oldName,
      loss_f64: loss,
      micro_batches: parts,
      metrics,
    } = info.results[name]!;
    const [inputs, expected] = [await goldenArrays(golden, 'inputs.safetensors'), await goldenArrays(golden)];
    const [logProbs, old, reference, perRow, mask] = await Promise.all(
      ['logp', 'old_logp', 'ref_logp', 'advantages', maskName].map((array) => inputs.read(array)),
    );
    const rows = perRow!.length;
    const width = mask!.length / rows;
    const rowOf = (token: number) => Math.floor(token / width);
    const maxCompletionLength = config.max_completion_length;
    const weight = lossWeights(config.loss_type, { mask: mask!, rows, microBatches: parts, maxCompletionLength });
    const advantages = mask!.map((_, token) => perRow![rowOf(token)]!);
    const objective = objectiveOf(config);
    const onPolicy = oldName.startsWith('absent');
    const streams = { logProbs: logProbs!, old: old!, reference: reference!, advantages, weight };
    const tokens = mask!.reduce((sum, value) => sum + value, 0);

    // The micro-batches as the trainer runs them: weights of the whole batch, losses and gradients added.
    let actualLoss = 0;
    const gradient: number[] = [];
    const clipped = { low: 0, high: 0 };
    for (let part = 0; part < parts; part++) {
      const cut = (values: Float64Array) =>
        values.slice((part * values.length) / parts, ((part + 1) * values.length) / parts);
      const own = Object.fromEntries(
        Object.entries(streams).map(([stream, values]) => [stream, cut(values)]),
      ) as typeof streams;
      const actual = await lossOf(objective, own, onPolicy, rowOf);
      actualLoss += actual.loss;
      gradient.push(...actual.gradient);
      const members = cut(mask!);
      const share = (flags?: Float32Array) =>
        (flags ?? new Float32Array()).reduce((sum, flag, token) => sum + flag * members[token]!, 0) / tokens;
      clipped.low += share(actual.clippedLow);
      clipped.high += share(actual.clippedHigh);
    }
    expect(Math.abs(actualLoss - loss)).toBeLessThan(tolerance.loss * Math.max(1, Math.abs(loss)));
    if (objective.name === 'grpo' || objective.name === 'cispo') {
      // Means over tokens; TRL logs none of an accumulated batch.
      const { 'clip_ratio/low_mean': low, cispo_clip_ratio: ofCispo } = metrics;
      const high = metrics['clip_ratio/high_mean'] ?? ofCispo;
      if (low !== undefined) expect(clipped.low).toBeCloseTo(low, 6);
      if (high !== undefined) expect(clipped.high).toBeCloseTo(high, 6);
    }
    const error = relativeError(gradient, await expected.read(`${name}.grad_f64`));
    expect(error).toBeLessThan(tolerance['relative to max |grad|']);
    await Promise.all([inputs.close(), expected.close()]);
  });

  const estimators = (['k1', 'k2', 'k3'] as const).filter(
    (estimator) => info.kl_token_means?.[estimator] !== undefined,
  );
  it.each(estimators)('KL estimator %s', async (estimator) => {
    const [inputs, expected] = [await goldenArrays(golden, 'inputs.safetensors'), await goldenArrays(golden)];
    const [logProbs, reference, mask] = await Promise.all(
      ['logp', 'ref_logp', 'mask'].map((array) => inputs.read(array)),
    );
    const count = mask!.reduce((sum, value) => sum + value, 0);
    const graph = new Graph('kl');
    const [x, r, weight] = ['x', 'r', 'weight'].map((name) => graph.input(name, 'float64', ['tokens']));
    const kl = klEstimate(estimator, x!, r!);
    graph.output('mean', op.reduceSum(op.mul(kl, weight!), [0]));
    graph.output('gradient', gradients([{ value: kl, seed: weight! }], [x!])[0]!);
    const session = await openSession(graph, { threads: 1, device: 'cpu' });
    const tensor = (data: Float64Array) => ({ data, shape: [data.length] });
    const result = await session.run({
      x: tensor(logProbs!),
      r: tensor(reference!),
      weight: tensor(mask!.map((value) => value / count)),
    });
    expect(Number(result['mean']!.data[0])).toBeCloseTo(info.kl_token_means![estimator]!, 12);
    expect(
      relativeError(result['gradient']!.data as Float64Array, await expected.read(`kl_${estimator}.grad_f64`)),
    ).toBeLessThan(1e-12);
    await session.release();
    await Promise.all([inputs.close(), expected.close()]);
  });
});

interface SftCase {
  results: Record<string, { loss_f64: number; num_items_in_batch: number | null; loss_type?: string }>;
  tolerance: { 'float32 engine': number };
}

describeCases<SftCase>('sft', 'the supervised loss against TRL, on given log-probabilities', (golden) => {
  const tolerance = golden.info.tolerance['float32 engine'];

  it.each(Object.keys(golden.info.results))('%s', async (name) => {
    const { loss_f64: loss, num_items_in_batch: items, loss_type: lossType } = golden.info.results[name]!;
    const [inputs, expected] = [await goldenArrays(golden, 'inputs.safetensors'), await goldenArrays(golden)];
    const [logProbs, assistant] = [await inputs.read('logp'), await inputs.read('assistant_mask')];
    const width = logProbs.length / (assistant.length - logProbs.length);
    const mask = logProbs.map((_, i) => assistant[Math.floor(i / width) * (width + 1) + (i % width) + 1]!);
    const count = items ?? mask.reduce((sum, value) => sum + value, 0);
    // Dynamic fine-tuning (TRL's loss_type "dft") takes two passes: each weight times the probability of its token, without gradient.
    const factors = logProbs.map((value) => (lossType === 'dft' ? Math.exp(value) : 1));
    const unused = new Float64Array(logProbs.length);
    const actual = await lossOf(
      { name: 'sft' },
      {
        logProbs,
        old: unused,
        reference: unused,
        advantages: unused,
        weight: mask.map((value, i) => (value * factors[i]!) / count),
      },
    );
    expect(Math.abs(actual.loss - loss)).toBeLessThan(tolerance * Math.max(1, Math.abs(loss)));
    expect(relativeError(actual.gradient, await expected.read(`${name}.grad_f64`))).toBeLessThan(tolerance);
    await Promise.all([inputs.close(), expected.close()]);
  });
});
