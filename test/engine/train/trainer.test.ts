import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '../../../engine/formats/safetensors.ts';
import { createAdapter } from '../../../engine/model/createAdapter.ts';
import { describeModel } from '../../../engine/model/describe.ts';
import type { EngineProgress, GradientRequest, TrainingSequence } from '../../../engine/policy.ts';
import { sampleSequences } from '../../../engine/generate/sampleSequences.ts';
import { openSampler } from '../../../engine/generate/sampler.ts';
import { policyWeights } from '../../../engine/model/trainedWeights.ts';
import { planMicroBatches, rowLength } from '../../../engine/train/planMicroBatches.ts';
import { Trainer } from '../../../engine/train/trainer.ts';
import { TreeSum } from '../../../engine/train/treeSum.ts';
import { update } from '../../../engine/train/update.ts';
import { pseudoRandom, TINY, writeRandomModel } from './randomModel.ts';

const LORA = { rank: 2, alpha: 4, targets: ['q_proj', 'down_proj'], rankStabilized: false };
const OPTIMIZER = { learningRate: 0.05, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };

let folder: string;
let model: { modelPath: string; modelDigest: string };
let adapterPath: string;
let trainer: Trainer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'trainer-'));
  model = { modelPath: await writeRandomModel(join(folder, 'model'), TINY), modelDigest: 'sha256:tiny' };
  adapterPath = join(folder, 'adapter');
  await createAdapter({ model, lora: LORA, seed: 'one', outputPath: adapterPath, baseModelName: 'tiny' });
  trainer = new Trainer({
    threads: 1,
    device: 'cpu',
    decodeBatch: 1,
    microBatchTokens: 64,
    cachePath: join(folder, 'cache'),
  });
});
afterAll(async () => {
  await trainer.release();
  rmSync(folder, { recursive: true });
});

const sequences: TrainingSequence[] = [0, 1, 2].map((i) => ({
  id: `s${i}`,
  promptTokens: [1, 2 + i],
  completionTokens: [5, 6, 7 + i, 2],
  weight: 1 / 12,
  advantage: 1 - i,
}));
const request = (changes: Partial<GradientRequest> = {}): GradientRequest => ({
  model,
  adapterPath,
  sequences,
  objective: { name: 'sft' },
  outputPath: join(folder, 'gradient.safetensors'),
  ...changes,
});

describe('sum of gradients', () => {
  it('is a balanced binary tree in float32, whatever the order of arrival', () => {
    const random = pseudoRandom(2);
    const leaves = Array.from({ length: 7 }, () => Float32Array.from({ length: 5 }, random));
    const at = (i: number, element: number) => leaves[i]![element]!;
    const plus = (a: number, b: number) => Math.fround(a + b);
    const expected = Array.from({ length: 5 }, (_, e) =>
      plus(plus(plus(at(0, e), at(1, e)), plus(at(2, e), at(3, e))), plus(plus(at(4, e), at(5, e)), at(6, e))),
    );
    for (const order of [
      [0, 1, 2, 3, 4, 5, 6],
      [6, 5, 4, 3, 2, 1, 0],
      [3, 6, 0, 5, 2, 4, 1],
    ]) {
      const sum = new TreeSum(7);
      for (const place of order) sum.add(place, leaves[place]!.slice());
      expect([...sum.total()]).toEqual(expected);
    }
  });

  it('refuses a total before every term has come', () => {
    const sum = new TreeSum(3);
    sum.add(0, new Float32Array(1));
    expect(() => sum.total()).toThrow(/not complete/);
  });
});

describe('micro-batches', () => {
  it('group similar lengths, keep to the limit, sort inside windows only', () => {
    const of = (length: number) => ({
      id: String(length),
      promptTokens: [1],
      completionTokens: Array.from({ length }, () => 1),
    });
    const list = [40, 10, 33, 12].map(of);
    const alone = list.map((sequence) => [sequence]);
    expect(planMicroBatches(alone, 96)).toEqual([
      [1, 3],
      [0, 2],
    ]);
    expect(planMicroBatches(alone, 1)).toEqual([[1], [3], [0], [2]]);
    // Padding 10 to 40 tokens costs more than a run of its own.
    expect(planMicroBatches(alone, 1000, 2)).toEqual([[1], [0], [3], [2]]);
  });

  it('pad no more than a tenth of the computed positions where lengths are mixed', () => {
    for (const count of [8, 32, 64]) {
      // 40 to 600 tokens, in no order.
      const list = Array.from({ length: count }, (_, i) => {
        const tokens = 40 + ((i * 7919) % 561);
        return {
          id: String(i),
          promptTokens: [1],
          completionTokens: Array.from({ length: tokens - 1 }, () => 1),
        };
      });
      const alone = list.map((sequence) => [sequence]);
      const plan = planMicroBatches(alone, 1536);
      expect(plan.flat().sort((a, b) => a - b)).toEqual(list.map((_, i) => i));
      const computed = plan.reduce(
        (sum, batch) => sum + batch.length * Math.max(...batch.map((i) => rowLength([list[i]!]))),
        0,
      );
      const real = list.reduce((sum, { completionTokens }) => sum + 1 + completionTokens.length, 0);
      expect(1 - real / computed).toBeLessThan(0.1);
    }
  });
});

describe('training of every weight', () => {
  const policyGradient: GradientRequest['objective'] = {
    name: 'grpo',
    clipLow: 0.2,
    clipHigh: 0.2,
    klWeight: 0.1,
    klEstimator: 'k3',
    temperature: 1,
  };

  it('begins at the model itself, and its log-probabilities and samples follow the trained weights', async () => {
    const all = join(folder, 'all');
    await createAdapter({ model, lora: 'all', seed: '', outputPath: all, baseModelName: 'tiny' });
    const first = await trainer.gradients(request({ adapterPath: all, objective: policyGradient, reference: 'base' }));
    for (const { kl } of first.sequences) expect(kl).toBe(0);

    const next = join(folder, 'all-next');
    const updated = await update({
      adapterPath: all,
      gradientPaths: [request().outputPath],
      optimizer: { ...OPTIMIZER, learningRate: 0.01 },
      outputAdapterPath: next,
      outputOptimizerStatePath: join(folder, 'all-moments.safetensors'),
    });
    expect(updated.gradNorm).toBeGreaterThan(0);
    const second = await trainer.gradients(
      request({ adapterPath: next, objective: policyGradient, reference: 'base' }),
    );
    for (const { kl } of second.sequences) expect(kl).toBeGreaterThan(1e-6);

    // The trained folder as a model of its own: the prepacked weights give the same numbers.
    const scored = await trainer.logProbs({ policy: { ...model, adapterPath: next }, sequences, temperature: 1 });
    const { weightFile, adapter } = await policyWeights({ ...model, adapterPath: next }, join(folder, 'cache'));
    expect(adapter).toBeUndefined();
    const sampler = await openSampler(weightFile, adapter, { threads: 1, device: 'cpu' });
    const [sampled] = await sampleSequences(
      sampler,
      [{ id: 'a', tokens: sequences[0]!.promptTokens, prefixLength: 0, seeds: ['x'] }],
      { temperature: 1, maxNewTokens: 4, stopTokens: [] },
      { decodeBatch: 1, prefillTokens: 64 },
    );
    await sampler.release();
    const [again] = await trainer.logProbs({
      policy: { ...model, adapterPath: next },
      sequences: [{ id: 'a', promptTokens: sequences[0]!.promptTokens, completionTokens: sampled!.tokens }],
      temperature: 1,
    });
    sampled!.logProbs.forEach((logProb, i) => expect(logProb).toBeCloseTo(again![i]!, 4));
    expect(scored).toHaveLength(3);
  });

  it('refuses weights of another model, naming the tensor', async () => {
    const other = { ...TINY, intermediateSize: TINY.intermediateSize + 16 };
    const modelPath = await writeRandomModel(join(folder, 'other'), other);
    const all = join(folder, 'other-all');
    const otherModel = { modelPath, modelDigest: 'other' };
    await createAdapter({ model: otherModel, lora: 'all', seed: '', outputPath: all, baseModelName: 'other' });
    await expect(trainer.gradients(request({ adapterPath: all }))).rejects.toThrow(/mlp\.gate_proj\.weight' is \[/);
  });
});

describe('fresh adapters', () => {
  it('depend on the seed only; A is uniform within 1/sqrt(in), B zero', async () => {
    const again = join(folder, 'again');
    await createAdapter({ model, lora: LORA, seed: 'one', outputPath: again, baseModelName: 'tiny' });
    const bytes = (path: string) => readFileSync(join(path, 'adapter_model.safetensors'));
    expect(bytes(again).equals(bytes(adapterPath))).toBe(true);
    await createAdapter({ model, lora: LORA, seed: 'two', outputPath: again, baseModelName: 'tiny' });
    expect(bytes(again).equals(bytes(adapterPath))).toBe(false);
    const file = await readSafetensors(join(adapterPath, 'adapter_model.safetensors'));
    const [a, b] = await Promise.all(
      ['A', 'B'].map((matrix) =>
        file.readFloat32(`base_model.model.model.layers.0.mlp.down_proj.lora_${matrix}.weight`),
      ),
    );
    const bound = 1 / Math.sqrt(TINY.intermediateSize);
    expect(Math.max(...a!.map(Math.abs))).toBeGreaterThan(0.9 * bound);
    expect(Math.max(...a!.map(Math.abs))).toBeLessThanOrEqual(bound);
    expect(b!.every((value) => value === 0)).toBe(true);
    expect([...file.tensors.keys()]).toHaveLength(8);
    await file.close();
  });

  it('names an unknown target', async () => {
    const bad = createAdapter({
      model,
      lora: { ...LORA, targets: ['w_proj'] },
      seed: 's',
      outputPath: join(folder, 'bad'),
      baseModelName: 'tiny',
    });
    await expect(bad).rejects.toThrow(/LoRA target 'w_proj' is none of q_proj/);
  });
});

describe('training', () => {
  it('lowers the loss, reports metrics and progress', async () => {
    const progress: EngineProgress[] = [];
    const losses: number[] = [];
    let current = adapterPath;
    let state: string | undefined;
    for (let step = 0; step < 8; step++) {
      const result = await trainer.gradients(request({ adapterPath: current }), (report) => progress.push(report));
      losses.push(result.sequences.reduce((sum, metrics) => sum + metrics.loss, 0));
      expect(result.sequences.map(({ id, tokens }) => [id, tokens])).toEqual(sequences.map(({ id }) => [id, 4]));
      expect(result.realTokens).toBe(18);
      for (const { entropy } of result.sequences)
        expect(entropy > 0 && entropy <= Math.log(TINY.vocabularySize)).toBe(true);
      const [next, nextState] = [join(folder, `step-${step}`), join(folder, `state-${step}.safetensors`)];
      const updated = await update({
        adapterPath: current,
        optimizerStatePath: state,
        gradientPaths: [request().outputPath],
        optimizer: OPTIMIZER,
        outputAdapterPath: next,
        outputOptimizerStatePath: nextState,
      });
      expect(updated.step).toBe(step + 1);
      [current, state] = [next, nextState];
    }
    expect(losses[7]!).toBeLessThan(losses[0]! * 0.9);
    expect(progress.filter(({ phase }) => phase === 'gradient').at(-1)).toMatchObject({
      done: 3,
      total: 3,
      tokens: 18,
    });
  });

  it('entropy and mean log-probability are those of the distribution', async () => {
    // The entropy of a next-token distribution, from the log-probabilities of every possible next token.
    const prompt = [1, 2];
    const everyToken = Array.from({ length: TINY.vocabularySize }, (_, token) => ({
      id: `t${token}`,
      promptTokens: prompt,
      completionTokens: [token],
    }));
    const logProbs = (
      await trainer.logProbs({ policy: { ...model, adapterPath }, sequences: everyToken, temperature: 1 })
    ).flat();
    expect(logProbs.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 5);
    const entropy = -logProbs.reduce((sum, value) => sum + value * Math.exp(value), 0);
    const result = await trainer.gradients(
      request({ sequences: [{ id: 'one', promptTokens: prompt, completionTokens: [9], weight: 1 }] }),
    );
    expect(result.sequences[0]!.entropy).toBeCloseTo(entropy, 4);
    expect(result.sequences[0]!.meanLogProb).toBeCloseTo(logProbs[9]!, 6);
  });

  it('truncates importance weights: tokens that guidance made likely count for less', async () => {
    const objective = {
      name: 'grpo',
      clipLow: 0.2,
      clipHigh: 0.2,
      klWeight: 0,
      klEstimator: 'k3',
      importanceCap: 2,
      temperature: 1,
    } as const;
    const [scored] = await trainer.logProbs({
      policy: { ...model, adapterPath },
      sequences: [sequences[0]!],
      temperature: 1,
    });
    const lossWith = async (shift: number) => {
      const sequence = {
        ...sequences[0]!,
        advantage: 1,
        weight: 0.25,
        behaviourLogProbs: scored!.map((value) => value + shift),
      };
      return (await trainer.gradients(request({ objective, sequences: [sequence] }))).sequences[0]!.loss;
    };
    // On-policy the ratio is 1, so the loss is -min(exp(-shift), cap).
    expect(await lossWith(0)).toBeCloseTo(-1, 5);
    expect(await lossWith(Math.log(4))).toBeCloseTo(-0.25, 5);
    expect(await lossWith(-Math.log(4))).toBeCloseTo(-2, 5);
  });

  it('KL to the base is exactly zero while B is zero', async () => {
    const objective = {
      name: 'grpo',
      clipLow: 0.2,
      clipHigh: 0.2,
      klWeight: 0.1,
      klEstimator: 'k3',
      temperature: 1,
    } as const;
    const result = await trainer.gradients(request({ objective, reference: 'base' }));
    expect(result.sequences.map(({ kl }) => kl)).toEqual([0, 0, 0]);
    await expect(trainer.gradients(request({ objective }))).rejects.toThrow(/klWeight > 0 needs a reference/);
  });

  it('says what is not finite', async () => {
    const infinite = sequences.map((sequence, i) => (i === 1 ? { ...sequence, weight: Infinity } : sequence));
    await expect(trainer.gradients(request({ sequences: infinite }))).rejects.toMatchObject({
      kind: 'notFinite',
      message: expect.stringMatching(/gradient of .*lora_.*'s1'/),
    });
  });

  it.each([
    ['no completion', { completionTokens: [] }, /sequence 's1': no completion tokens/],
    ['no prompt', { promptTokens: [] }, /sequence 's1': no prompt tokens/],
    [
      'a token outside the vocabulary',
      { completionTokens: [64] },
      /sequence 's1': token 64 is outside the vocabulary of 64/,
    ],
    [
      'too long',
      { promptTokens: new Array<number>(1200).fill(1) },
      /sequence 's1': 1203 tokens, but the model was made for 1024/,
    ],
    ['an id twice', { id: 's0' }, /sequence 's0': its id occurs twice/],
    ['weights of another length', { weight: [1, 2] }, /sequence 's1': 2 weights for 4 completion tokens/],
  ] as const)('names a malformed sequence: %s', async (_name, change, message) => {
    const bad = sequences.map((sequence, i) => (i === 1 ? ({ ...sequence, ...change } as TrainingSequence) : sequence));
    await expect(trainer.gradients(request({ sequences: bad }))).rejects.toThrow(message);
  });

  it('update refuses files that do not fit the adapter', async () => {
    await trainer.gradients(request());
    const other = join(folder, 'other');
    await createAdapter({ model, lora: { ...LORA, rank: 3 }, seed: 's', outputPath: other, baseModelName: 'tiny' });
    const bad = update({
      adapterPath: other,
      gradientPaths: [request().outputPath],
      optimizer: OPTIMIZER,
      outputAdapterPath: join(folder, 'x'),
      outputOptimizerStatePath: join(folder, 'x.safetensors'),
    });
    await expect(bad).rejects.toThrow(
      /does not fit the adapter: expected .*lora_A.weight \[3, 48\], found .*\[2, 48\]/,
    );
  });

  it('describes a model', async () => {
    const { parameters, layers, architecture } = await describeModel(model);
    expect({ layers, architecture }).toEqual({ layers: 2, architecture: 'llama' });
    // embedding + 2 (q, o, k, v, three of the mlp, two norms) + norm
    expect(parameters).toBe(64 * 32 + 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32 + 64) + 32);
  });
});
