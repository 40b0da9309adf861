import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dpo } from '../../../alignment/preferences/dpo.ts';
import { tokenWeight } from '../../../alignment/preferences/sequenceScore.ts';
import { readSafetensors } from '../../../engine/formats/safetensors.ts';
import { ADAPTER_FILE, writeAdapterTensors } from '../../../engine/model/adapter.ts';
import { createAdapter } from '../../../engine/model/createAdapter.ts';
import type { KlEstimator, Objective, TrainingSequence } from '../../../engine/policy.ts';
import { Trainer } from '../../../engine/train/trainer.ts';
import { pseudoRandom, TINY, writeRandomModel } from './randomModel.ts';

const LORA = { rank: 2, alpha: 4, targets: ['q_proj', 'down_proj'], rankStabilized: false };
const shared = { klWeight: 0, klEstimator: 'k1', temperature: 0.9 } as const;
const clip = { clipLow: 0.2, clipHigh: 0.2 };

type Tensors = Map<string, { shape: number[]; data: Float32Array }>;

describe('objectives on a model', () => {
  let folder: string;
  let model: { modelPath: string; modelDigest: string };
  let adapterPath: string;
  let adapter: Tensors;
  let trainer: Trainer;

  const settings = () => ({ threads: 1, device: 'cpu' as const, decodeBatch: 1, cachePath: join(folder, 'cache') });
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'objectives-'));
    model = { modelPath: await writeRandomModel(join(folder, 'model'), TINY), modelDigest: 'sha256:tiny' };
    adapterPath = join(folder, 'adapter');
    await createAdapter({ model, lora: LORA, seed: 'one', outputPath: adapterPath, baseModelName: 'tiny' });
    // B is not zero, so that the reference differs and every gradient is there.
    const random = pseudoRandom(5);
    adapter = await read(join(adapterPath, ADAPTER_FILE));
    for (const { data } of adapter.values()) for (let i = 0; i < data.length; i++) data[i] = data[i]! + 0.2 * random();
    await writeAdapterTensors(adapterPath, adapter);
    trainer = new Trainer({ ...settings(), microBatchTokens: 64 });
  });
  afterAll(async () => {
    await trainer.release();
    rmSync(folder, { recursive: true });
  });

  const sequences = [4, 7, 3].map((length, i): TrainingSequence => ({
    id: `s${i}`,
    promptTokens: [1, 2 + i],
    completionTokens: Array.from({ length }, (_, token) => 5 + ((token * 7 + i) % 40)),
    weight: 1 / (3 * length),
    advantage: [1, -0.7, 0.4][i]!,
  }));

  async function read(path: string): Promise<Tensors> {
    const file = await readSafetensors(path);
    const tensors: Tensors = new Map();
    for (const [name, { shape }] of file.tensors)
      tensors.set(name, { shape: [...shape], data: await file.readFloat32(name) });
    await file.close();
    return tensors;
  }
  async function run(objective: Objective, changes: { of?: TrainingSequence[]; from?: string; by?: Trainer } = {}) {
    const outputPath = join(folder, 'gradient.safetensors');
    const request = {
      model,
      adapterPath: changes.from ?? adapterPath,
      reference: 'base' as const,
      objective,
      outputPath,
    };
    const { sequences: metrics } = await (changes.by ?? trainer).gradients({
      ...request,
      sequences: changes.of ?? sequences,
    });
    return { metrics, loss: metrics.reduce((sum, { loss }) => sum + loss, 0), gradient: await read(outputPath) };
  }
  const flat = (tensors: Tensors) => [...tensors.values()].flatMap(({ data }) => [...data]);

  const normOf = (tensors: Tensors) => Math.sqrt(flat(tensors).reduce((sum, value) => sum + value * value, 0));

  /** Slope of a loss, which is a function of an adapter folder, along the direction of a gradient, by central differences. */
  async function slopeAlong(gradient: Tensors, lossOf: (from: string) => Promise<number>): Promise<number> {
    const norm = normOf(gradient);
    const lossAt = async (distance: number) => {
      const from = join(folder, 'moved');
      await createAdapter({ model, lora: LORA, seed: 'one', outputPath: from, baseModelName: 'tiny' });
      const moved = [...adapter].map(([name, { shape, data }]) => {
        const direction = gradient.get(name)!.data;
        return [name, { shape, data: data.map((value, i) => value + (distance * direction[i]!) / norm) }] as const;
      });
      await writeAdapterTensors(from, new Map(moved));
      return lossOf(from);
    };
    const step = 0.02;
    return ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
  }

  /** The log-probabilities of each sequence under the adapter and under the base. */
  async function logProbs(withAdapter = true) {
    const policy = { ...model, ...(withAdapter ? { adapterPath } : {}) };
    return trainer.logProbs({ policy, sequences, temperature: shared.temperature });
  }

  it.each([
    ['entropy bonus', { name: 'grpo', ...clip, ...shared, entropyWeight: 0.7 }],
    ['one ratio a sequence (mean)', { name: 'gspo', clipLow: 0.9, clipHigh: 9, ...shared }],
    ['one ratio a sequence (sum)', { name: 'rloo', clipLow: 0.9, clipHigh: 9, ...shared }],
  ] as [string, Objective][])(
    '%s: the gradient is that of the loss, by finite differences',
    async (_name, objective) => {
      // Old log-probs a little off, so that ratios are not 1; they stay where they are while the adapter moves.
      const current = await logProbs();
      const of = sequences.map((sequence, i) => ({
        ...sequence,
        oldLogProbs: current[i]!.map((value, token) => value + 0.05 * ((token % 3) - 1.2)),
      }));
      const { gradient } = await run(objective, { of });
      const norm = normOf(gradient);
      const slope = await slopeAlong(gradient, async (from) => (await run(objective, { of, from })).loss);
      expect(norm).toBeGreaterThan(0.01);
      expect(Math.abs(slope / norm - 1)).toBeLessThan(0.01);
    },
  );

  it('an entropy bonus takes its weight times the entropy off the loss of each token', async () => {
    const plain = await run({ name: 'grpo', ...clip, ...shared });
    const bonus = await run({ name: 'grpo', ...clip, ...shared, entropyWeight: 0.5 });
    plain.metrics.forEach(({ loss, entropy }, i) =>
      expect(bonus.metrics[i]!.loss).toBeCloseTo(loss - (0.5 * entropy) / sequences.length, 5),
    );
  });

  it.each<[KlEstimator, (difference: number) => number]>([
    ['k1', (difference) => difference],
    ['k2', (difference) => difference ** 2 / 2],
    ['k3', (difference) => Math.exp(-difference) + difference - 1],
  ])(
    'KL in the reward is %s summed over the sequence, off the advantage, without gradient of its own',
    async (klEstimator, estimate) => {
      const [current, reference] = [await logProbs(), await logProbs(false)];
      const penalised = sequences.map((sequence, i) => ({
        ...sequence,
        advantage:
          sequence.advantage! -
          0.3 * current[i]!.reduce((sum, value, t) => sum + estimate(value - reference[i]![t]!), 0),
      }));
      for (const name of ['rloo', 'grpo'] as const) {
        const actual = await run({ name, ...clip, ...shared, klEstimator, klWeight: 0.3, klPlacement: 'reward' });
        const expected = flat((await run({ name, ...clip, ...shared }, { of: penalised })).gradient);
        const largest = Math.max(...expected.map(Math.abs));
        flat(actual.gradient).forEach((value, i) =>
          expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-5 * largest),
        );
        expect(Math.abs(penalised[0]!.advantage - sequences[0]!.advantage!)).toBeGreaterThan(0.01);
      }
    },
  );

  it('on policy, GRPO, GSPO and CISPO have the same gradient; RLOO that of the summed log-probability', async () => {
    const gradientOf = async (objective: Objective, of = sequences) => flat((await run(objective, { of })).gradient);
    const grpo = await gradientOf({ name: 'grpo', ...clip, ...shared });
    const gspo = await gradientOf({ name: 'gspo', ...clip, ...shared });
    const cispo = await gradientOf({ name: 'cispo', ratioCap: 5, ...shared });
    const rloo = await gradientOf({ name: 'rloo', ...clip, ...shared });
    const summed = sequences.map((sequence) => ({ ...sequence, weight: 1 / 3 }));
    const grpoSummed = await gradientOf({ name: 'grpo', ...clip, ...shared }, summed);
    const largest = Math.max(...grpo.map(Math.abs));
    const differ = (a: number[], b: number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!))) / largest;
    expect(differ(gspo, grpo)).toBeLessThan(1e-5);
    expect(differ(cispo, grpo)).toBeLessThan(1e-5);
    expect(differ(rloo, grpoSummed)).toBeLessThan(1e-4);
    expect(differ(rloo, grpo)).toBeGreaterThan(0.1);
  });

  it.each(['gspo', 'rloo'] as const)('%s: bits do not depend on the micro-batches', async (name) => {
    const objective: Objective = { name, ...clip, ...shared, klWeight: 0.1, klPlacement: 'reward', entropyWeight: 0.1 };
    const together = await run(objective);
    const single = new Trainer({ ...settings(), microBatchTokens: 1 });
    const alone = await run(objective, { by: single });
    await single.release();
    expect(flat(alone.gradient)).toEqual(flat(together.gradient));
    expect(alone.metrics).toEqual(together.metrics);
  });

  it('DPO in two passes: token weights by the coefficients give the gradient of its loss', async () => {
    const [chosen, rejected] = sequences;
    const lossAndCoefficients = async (from: string) => {
      const scored: number[][] = [];
      for (const policy of [{ ...model, adapterPath: from }, model]) {
        const values = await trainer.logProbs({ policy, sequences: [chosen!, rejected!], temperature: 1 });
        scored.push(values.map((tokens) => tokens.reduce((sum, value) => sum + value, 0)));
      }
      const scoreOf = (i: number) => ({
        logProb: scored[0]![i]!,
        referenceLogProb: scored[1]![i]!,
        tokens: sequences[i]!.completionTokens.length,
      });
      return dpo([{ chosen: scoreOf(0), rejected: scoreOf(1) }], { loss: 'sigmoid', beta: 0.5 });
    };
    const { coefficients } = await lossAndCoefficients(adapterPath);
    const of = [
      { ...chosen!, weight: tokenWeight(coefficients[0]!.chosen) },
      { ...rejected!, weight: tokenWeight(coefficients[0]!.rejected) },
    ];
    const { gradient } = await run({ name: 'sft' }, { of });
    const slope = await slopeAlong(gradient, async (from) => (await lossAndCoefficients(from)).loss);
    expect(Math.abs(slope / normOf(gradient) - 1)).toBeLessThan(0.01);
  });
});
