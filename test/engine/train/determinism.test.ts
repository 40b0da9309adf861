import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '../../../engine/formats/safetensors.ts';
import { createAdapter } from '../../../engine/model/createAdapter.ts';
import type { Objective, TrainingSequence } from '../../../engine/policy.ts';
import { Trainer } from '../../../engine/train/trainer.ts';
import { update } from '../../../engine/train/update.ts';
import { pseudoRandom, TWO_WIDE_LAYERS, writeRandomModel } from './randomModel.ts';

const LENGTHS = [37, 150, 64, 93, 21, 118, 75, 49];
const LONGEST = 160;

describe('bits of the gradient do not depend on how it was computed', () => {
  let folder: string;
  let model: { modelPath: string; modelDigest: string };
  let adapterPath: string;
  let reference: Buffer;
  let runs = 0;

  const random = pseudoRandom(11);
  const token = () => Math.floor(((random() + 1) / 2) * TWO_WIDE_LAYERS.vocabularySize);
  const sequences = LENGTHS.map((length, i): TrainingSequence => {
    const tokens = Array.from({ length }, token);
    return {
      id: `sequence ${i}`,
      promptTokens: tokens.slice(0, 13),
      completionTokens: tokens.slice(13),
      weight: 1 / (length - 13),
      advantage: i % 2 ? 1 : -0.7,
    };
  });
  const objective: Objective = {
    name: 'grpo',
    clipLow: 0.2,
    clipHigh: 0.28,
    klWeight: 0.05,
    klEstimator: 'k3',
    temperature: 0.8,
  };

  /** Gradient of some sequences under given settings: the file's path. */
  async function gradient(of: TrainingSequence[], microBatchTokens: number, threads: number): Promise<string> {
    const trainer = new Trainer({
      threads,
      device: 'cpu',
      decodeBatch: 1,
      microBatchTokens,
      cachePath: join(folder, 'cache'),
    });
    const outputPath = join(folder, `gradient-${runs++}.safetensors`);
    await trainer.gradients({ model, adapterPath, reference: 'base', sequences: of, objective, outputPath });
    await trainer.release();
    return outputPath;
  }
  async function values(path: string): Promise<Map<string, Float32Array>> {
    const file = await readSafetensors(path);
    const all = new Map<string, Float32Array>();
    for (const name of file.tensors.keys()) all.set(name, await file.readFloat32(name));
    await file.close();
    return all;
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'determinism-'));
    model = { modelPath: await writeRandomModel(join(folder, 'model'), TWO_WIDE_LAYERS), modelDigest: 'wide' };
    const lora = {
      rank: 8,
      alpha: 16,
      targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
      rankStabilized: false,
    };
    const [fresh, moved] = [join(folder, 'fresh'), join(folder, 'moved')];
    await createAdapter({ model, lora, seed: 'determinism', outputPath: fresh, baseModelName: 'random' });
    const optimizer = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };
    adapterPath = fresh;
    const gradientPaths = [await gradient(sequences, 4 * LONGEST, 2)];
    await update({
      adapterPath,
      gradientPaths,
      optimizer,
      outputAdapterPath: moved,
      outputOptimizerStatePath: join(folder, 'state.safetensors'),
    });
    // One step away from B = 0, so that every part of the gradient is there.
    adapterPath = moved;
    reference = readFileSync(await gradient(sequences, 8 * LONGEST, 2));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    [1, 2],
    [2, 2],
    [4, 2],
    [1, 1],
    [8, 1],
    [2, 3],
    [8, 7],
  ])('micro-batches of %i of the longest sequences, %i threads', async (rows, threads) => {
    expect(readFileSync(await gradient(sequences, rows * LONGEST, threads)).equals(reference)).toBe(true);
  });

  it('shards that are aligned sub-trees sum to the same bits', async () => {
    const shards = [
      await gradient(sequences.slice(0, 4), 2 * LONGEST, 2),
      await gradient(sequences.slice(4), 8 * LONGEST, 1),
    ];
    const optimizer = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, maxGradNorm: 1 };
    const whole = join(folder, 'whole.safetensors');
    writeFileSync(whole, reference);
    const adapters = [];
    for (const [name, gradientPaths] of [
      ['one', [whole]],
      ['two', shards],
    ] as const) {
      const outputAdapterPath = join(folder, `after-${name}`);
      await update({
        adapterPath,
        gradientPaths: [...gradientPaths],
        optimizer,
        outputAdapterPath,
        outputOptimizerStatePath: join(folder, `state-${name}.safetensors`),
      });
      adapters.push(readFileSync(join(outputAdapterPath, 'adapter_model.safetensors')));
    }
    expect(adapters[0]!.equals(adapters[1]!)).toBe(true);
    expect(adapters[0]!.equals(readFileSync(join(adapterPath, 'adapter_model.safetensors')))).toBe(false);
  });

  it('a sequence has the same gradient alone, with other mates, and in other rows', async () => {
    const own = sequences[3]!;
    const alone = await values(await gradient([own], LONGEST, 2));
    const silent = (index: number) => ({ ...sequences[index]!, weight: 0 });
    for (const batch of [
      [silent(1), own, silent(4)],
      [own, silent(0), silent(2), silent(5), silent(6)],
    ]) {
      const together = await values(await gradient(batch, 8 * LONGEST, 2));
      for (const [name, gradientAlone] of alone)
        expect(
          together.get(name)!.every((value, i) => value === gradientAlone[i]),
          name,
        ).toBe(true);
    }
    expect([...alone.values()].every((gradientAlone) => gradientAlone.some((value) => value !== 0))).toBe(true);
  });

  it('a sequence of 300 tokens has the same gradient alone and padded to 700', async () => {
    const of = (id: string, length: number, weight: number): TrainingSequence => {
      const next = pseudoRandom(length);
      const tokens = Array.from({ length }, () => Math.floor(((next() + 1) / 2) * TWO_WIDE_LAYERS.vocabularySize));
      return { id, promptTokens: tokens.slice(0, 250), completionTokens: tokens.slice(250), weight, advantage: 1 };
    };
    const alone = await values(await gradient([of('own', 300, 0.01)], 1, 2));
    const together = await values(await gradient([of('mate', 700, 0), of('own', 300, 0.01)], 1400, 1));
    for (const [name, gradientAlone] of alone)
      expect(
        together.get(name)!.every((value, i) => value === gradientAlone[i]),
        name,
      ).toBe(true);
  });

  it('log-probabilities of the scoring graph are those of the training graph, whatever the batch', async () => {
    const policy = { ...model, adapterPath };
    const scored = sequences.map(({ id, promptTokens, completionTokens }) => ({ id, promptTokens, completionTokens }));
    const trainer = (microBatchTokens: number, threads: number) =>
      new Trainer({ threads, device: 'cpu', decodeBatch: 1, microBatchTokens, cachePath: join(folder, 'cache') });
    const scoring = trainer(LONGEST, 1);
    const byScoring = await scoring.logProbs({ policy, sequences: scored, temperature: 0.8 });
    await scoring.release();
    const training = trainer(8 * LONGEST, 2);
    await training.gradients({
      model,
      adapterPath,
      reference: 'base',
      sequences,
      objective,
      outputPath: join(folder, 'unused.safetensors'),
    });
    const byTraining = await training.logProbs({ policy, sequences: scored, temperature: 0.8 });
    await training.release();
    expect(byTraining).toEqual(byScoring);
  });
});
