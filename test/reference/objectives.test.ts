import { expect, it } from 'vitest';
import { Graph } from '../../engine/graph/builder.ts';
import { gradients } from '../../engine/graph/gradients.ts';
import * as op from '../../engine/graph/operators.ts';
import type { Objective } from '../../engine/policy.ts';
import { openSession } from '../../engine/session/session.ts';
import { klEstimate, objectiveGraph } from '../../engine/train/objectives.ts';
import { describeGolden, goldenArrays, goldenCase, relativeError } from './golden.ts';

interface PolicyGradientCase {
  results: Record<
    string,
    {
      config: {
        loss_type: string;
        epsilon: number;
        epsilon_high?: number;
        beta?: number;
        delta?: number;
        use_bias_correction_kl?: boolean;
        max_completion_length: number;
      };
      old_logp: string;
      mask: string;
      loss_f64: number;
    }
  >;
  kl_token_means: Record<'k1' | 'k2' | 'k3', number>;
  tolerance: { 'float32 engine': { 'relative to max |grad|': number; loss: number } };
}

/** Loss and its gradient by the log-probabilities, for given streams (row-major [rows, tokens]). */
async function lossOf(
  objective: Objective,
  streams: Record<'logProbs' | 'old' | 'reference' | 'advantages' | 'weight', Float64Array>,
  onPolicy = false,
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
    },
    (name) => op.scalar(graph, definition.settings[name]!),
  );
  graph.output('loss', op.reduceSum(op.mul(losses.loss, weight!), [0]));
  graph.output('gradient', gradients([{ value: losses.loss, seed: weight! }], [logProbs!])[0]!);
  const session = await openSession(graph, { threads: 1, device: 'cpu' });
  const result = await session.run(
    Object.fromEntries(
      Object.entries(streams).map(([name, values]) => [
        name,
        { data: Float32Array.from(values), shape: [values.length] },
      ]),
    ),
  );
  await session.release();
  return { loss: Number(result['loss']!.data[0]), gradient: result['gradient']!.data as Float32Array };
}

describeGolden('objectives against TRL, on given log-probabilities', () => {
  const golden = goldenCase<PolicyGradientCase>('objectives/policy_gradient');
  const tolerance = golden.tolerance['float32 engine'];
  /** Objectives that are `grpo` with some weight of the tokens. */
  const names = Object.keys(golden.results).filter(
    (name) => /^(grpo|bnpo|dr_grpo|dapo)/.test(name) && !/accumulated|two_sided/.test(name),
  );

  it.each(names)('%s', async (name) => {
    const { config, mask: maskName, old_logp: oldName, loss_f64: loss } = golden.results[name]!;
    const [inputs, expected] = [
      await goldenArrays('objectives/policy_gradient', 'inputs.safetensors'),
      await goldenArrays('objectives/policy_gradient'),
    ];
    const [logProbs, old, reference, perRow, mask] = await Promise.all(
      ['logp', 'old_logp', 'ref_logp', 'advantages', maskName].map((array) => inputs.read(array)),
    );
    const rows = perRow!.length;
    const width = mask!.length / rows;
    const countOf = (row: number) =>
      mask!.subarray(row * width, (row + 1) * width).reduce((sum, value) => sum + value, 0);
    const all = mask!.reduce((sum, value) => sum + value, 0);
    const weight = mask!.map((value, i) => {
      const row = Math.floor(i / width);
      if (config.loss_type === 'grpo') return value / (rows * Math.max(countOf(row), 1));
      return value / (config.loss_type === 'dr_grpo' ? rows * config.max_completion_length : all);
    });
    const objective: Objective = {
      name: 'grpo',
      clipLow: config.epsilon,
      clipHigh: config.epsilon_high ?? config.epsilon,
      klWeight: config.beta ?? 0,
      klEstimator: 'k3',
      klRatioCorrection: config.use_bias_correction_kl ?? true,
      temperature: 1,
    };
    const advantages = mask!.map((_, i) => perRow![Math.floor(i / width)]!);
    const actual = await lossOf(
      objective,
      { logProbs: logProbs!, old: old!, reference: reference!, advantages, weight },
      oldName.startsWith('absent'),
    );
    expect(Math.abs(actual.loss - loss)).toBeLessThan(tolerance.loss);
    expect(relativeError(actual.gradient, await expected.read(`${name}.grad_f64`))).toBeLessThan(
      tolerance['relative to max |grad|'],
    );
    await Promise.all([inputs.close(), expected.close()]);
  });

  it.each(['k1', 'k2', 'k3'] as const)('KL estimator %s', async (estimator) => {
    const [inputs, expected] = [
      await goldenArrays('objectives/policy_gradient', 'inputs.safetensors'),
      await goldenArrays('objectives/policy_gradient'),
    ];
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
    expect(Number(result['mean']!.data[0])).toBeCloseTo(golden.kl_token_means[estimator], 12);
    expect(
      relativeError(result['gradient']!.data as Float64Array, await expected.read(`kl_${estimator}.grad_f64`)),
    ).toBeLessThan(1e-12);
    await session.release();
    await Promise.all([inputs.close(), expected.close()]);
  });

  it.each(['token_mean', 'accumulated'])('sft %s', async (name) => {
    const sft = goldenCase<{ results: Record<string, { loss_f64: number; num_items_in_batch: number | null }> }>(
      'objectives/sft',
    ).results[name]!;
    const [inputs, expected] = [
      await goldenArrays('objectives/sft', 'inputs.safetensors'),
      await goldenArrays('objectives/sft'),
    ];
    const [logProbs, assistant] = [await inputs.read('logp'), await inputs.read('assistant_mask')];
    const width = logProbs.length / 4;
    const mask = logProbs.map((_, i) => assistant[Math.floor(i / width) * (width + 1) + (i % width) + 1]!);
    const count = sft.num_items_in_batch ?? mask.reduce((sum, value) => sum + value, 0);
    const unused = new Float64Array(logProbs.length);
    const actual = await lossOf(
      { name: 'sft' },
      { logProbs, old: unused, reference: unused, advantages: unused, weight: mask.map((value) => value / count) },
    );
    expect(Math.abs(actual.loss - sft.loss_f64)).toBeLessThan(2e-6);
    expect(relativeError(actual.gradient, await expected.read(`${name}.grad_f64`))).toBeLessThan(2e-6);
    await Promise.all([inputs.close(), expected.close()]);
  });
});
