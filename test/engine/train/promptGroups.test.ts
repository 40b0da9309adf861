import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shardsOf } from '../../../activities/publishPlan.ts';
import { readSafetensors } from '../../../engine/formats/safetensors.ts';
import { createAdapter } from '../../../engine/model/createAdapter.ts';
import type { DecoderConfig } from '../../../engine/model/config.ts';
import type { Objective, TrainingSequence } from '../../../engine/policy.ts';
import { layOut } from '../../../engine/train/microBatch.ts';
import { planMicroBatches, promptGroups, rowLength, tokenLimitFor } from '../../../engine/train/planMicroBatches.ts';
import { Trainer } from '../../../engine/train/trainer.ts';
import { TreeSum } from '../../../engine/train/treeSum.ts';
import { update } from '../../../engine/train/update.ts';
import { pseudoRandom, TINY, TWO_WIDE_LAYERS, writeRandomModel } from './randomModel.ts';

const sequence = (id: string, promptTokens: number[], completionTokens: number[]) => ({
  id,
  promptTokens,
  completionTokens,
});
const ones = (count: number) => Array.from({ length: count }, () => 1);

describe('which samples are computed together', () => {
  const samples = [
    sequence('a/0', [5, 6, 7], ones(20)),
    sequence('a/1', [5, 6, 7], ones(10)),
    sequence('a/2', [5, 6, 7], ones(4)),
    sequence('b/0', [5, 6], ones(3)),
    sequence('c/0', [5, 7], ones(3)),
    sequence('c/1', [5, 7], ones(30)),
    sequence('a/3', [5, 6, 7], ones(1)),
  ];

  it('neighbours of one prompt by their length, in rows that the limit allows', () => {
    expect(promptGroups(samples, 1024)).toEqual([[2, 1, 0], [3], [4, 5], [6]]);
    // Two shared tokens, 34 of their own, one of padding: 48 positions.
    expect(rowLength(samples.slice(0, 3))).toBe(48);
    expect(promptGroups(samples, 47)).toEqual([[2, 1], [0], [3], [4], [5], [6]]);
    expect(promptGroups(samples, 1)).toEqual([[2], [1], [0], [3], [4], [5], [6]]);
    const eight = Array.from({ length: 8 }, (_, i) => sequence(`d/${i}`, [1, 2], ones(96)));
    expect(promptGroups(eight, 1024)).toEqual([[0, 1, 2, 3, 4, 5, 6, 7]]);
    expect(promptGroups(eight, 768)).toEqual([[0, 1, 2, 3, 4, 5, 6], [7]]);
    expect(promptGroups([], 1)).toEqual([]);
  });

  it('a sample much longer than the others has a row of its own: they would have as many slots', () => {
    const mixed = [500, 30, 30, 30].map((length, i) => sequence(`e/${i}`, ones(40), ones(length)));
    expect(promptGroups(mixed, 1024)).toEqual([[1, 2, 3], [0]]);
    // With a long prompt to share it pays.
    const long = [500, 400, 450].map((length, i) => sequence(`f/${i}`, ones(600), ones(length)));
    expect(promptGroups(long, 4096)).toEqual([[1, 2, 0]]);
  });

  it('groups of a part of the groups are the same groups', () => {
    const lengths = [7, 90, 13, 60, 61, 8, 33, 34, 200, 31, 12, 100];
    const many = lengths.map((length, i) => sequence(`g/${i}`, ones(20), ones(length)));
    const groups = promptGroups(many, 160);
    expect(groups.length).toBeGreaterThan(3);
    for (let from = 0; from < groups.length; from++) {
      for (let to = from + 1; to <= groups.length; to++) {
        const part = groups.slice(from, to);
        const own = part.flat().map((index) => many[index]!);
        expect(promptGroups(own, 160).map((group) => group.map((i) => own[i]!.id))).toEqual(
          part.map((group) => group.map((index) => many[index]!.id)),
        );
      }
    }
  });

  it('groups alike in members and shared tokens are run together', () => {
    const list = ['a', 'b', 'c'].flatMap((name, prompt) =>
      [0, 1].map((sample) => sequence(`${name}/${sample}`, [...ones(prompt === 2 ? 40 : 9), prompt], ones(20))),
    );
    const groups = promptGroups(list, 1024);
    expect(groups).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    const rows = groups.map((group) => group.map((index) => list[index]!));
    expect(planMicroBatches(rows, 1024)).toEqual([[0, 1], [2]]);
  });

  it('are laid out with the prompt once', () => {
    const [first, second] = [sequence('a/0', [5, 6, 7], [10, 11]), sequence('a/1', [5, 6, 7], [12, 13, 14])];
    const batch = layOut(TINY, [[first, second]], 1);
    const values = (name: string) => Array.from(batch.feeds[name]!.data as BigInt64Array, Number);
    expect(values('tokens').slice(0, 7)).toEqual([5, 6, 7, 10, 7, 12, 13]);
    expect(batch).toMatchObject({ realTokens: 11, filledTokens: 7, computedTokens: 16 });
    expect(values('completionRows').slice(0, 5)).toEqual([2, 3, 4, 5, 6]);
    expect(values('targets').slice(0, 5)).toEqual([10, 11, 12, 13, 14]);
    expect(batch.spans).toEqual([
      { start: 0, end: 2 },
      { start: 2, end: 5 },
    ]);
    // Two shared tokens in 16 slots, then 16 slots a member; what is over is the row's last position.
    expect(values('prefixRows')).toEqual([0, 1, ...new Array<number>(14).fill(15)]);
    expect(values('ownRows').slice(0, 4)).toEqual([2, 3, 15, 15]);
    expect(values('ownRows').slice(16, 20)).toEqual([4, 5, 6, 15]);
    expect(values('slotOfPosition').slice(0, 8)).toEqual([0, 1, 16, 17, 32, 33, 34, 48]);
    expect(values('ownPositions').slice(16, 19)).toEqual([2, 3, 4]);
    const seen = (query: number) =>
      [...(batch.feeds['ownMask']!.data as Float32Array).subarray(query * 32, (query + 1) * 32).entries()]
        .filter(([, value]) => value === 0)
        .map(([key]) => key);
    expect(seen(2)).toEqual([0, 1, 16, 17, 18]);
  });

  it('a sliding window hides shared tokens from later ones', () => {
    const batch = layOut({ ...TINY, slidingWindow: 3 }, [[sequence('a', [5, 6, 7, 8], [1, 2, 3])]], 1);
    const mask = batch.feeds['ownMask']!.data as Float32Array;
    const seen = (query: number) =>
      Array.from({ length: 32 }, (_, key) => key).filter((key) => mask[query * 32 + key] === 0);
    // Positions 3, 4 and 5 see themselves and the two before: shared tokens are 0 to 2, own ones are in slots 16 to 18.
    expect([seen(0), seen(1), seen(2)]).toEqual([
      [1, 2, 16],
      [2, 16, 17],
      [16, 17, 18],
    ]);
  });
});

const windowed: DecoderConfig = { ...TINY, architecture: 'mistral', slidingWindow: 9 };

describe.each([
  ['layers as wide as SmolLM2', TWO_WIDE_LAYERS],
  ['a sliding window', windowed],
])('gradients of samples that share a prompt, %s', (_name, config) => {
  let folder: string;
  let model: { modelPath: string; modelDigest: string };
  let adapterPath: string;
  let runs = 0;
  const random = pseudoRandom(17);
  const tokens = (count: number) =>
    Array.from({ length: count }, () => Math.floor(((random() + 1) / 2) * config.vocabularySize));
  const sequences = [23, 40, 23].flatMap((promptLength, prompt) => {
    const promptTokens = tokens(promptLength);
    return Array.from({ length: prompt === 1 ? 3 : 4 }, (_, sample): TrainingSequence => {
      const completionTokens = tokens(5 + (((prompt * 4 + sample) * 37) % 60));
      return {
        ...sequence(`${prompt}/${sample}`, promptTokens, completionTokens),
        weight: 1 / (11 * completionTokens.length),
        advantage: sample % 2 ? 1 : -0.7,
      };
    });
  });
  const objective: Objective = {
    ...{ name: 'grpo', clipLow: 0.2, clipHigh: 0.28, klWeight: 0.05, klEstimator: 'k3', temperature: 0.8 },
  };
  const optimizer = { learningRate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 1 };
  const trainerOf = (microBatchTokens: number, threads: number) =>
    new Trainer({ threads, device: 'cpu', decodeBatch: 1, microBatchTokens, cachePath: join(folder, 'cache') });

  async function gradient(of: TrainingSequence[], microBatchTokens = 1024, threads = 2) {
    const trainer = trainerOf(microBatchTokens, threads);
    const outputPath = join(folder, `gradient-${runs++}.safetensors`);
    const result = await trainer.gradients({
      model,
      adapterPath,
      reference: 'base',
      sequences: of,
      objective,
      outputPath,
    });
    await trainer.release();
    return { outputPath, result };
  }
  async function flat(path: string): Promise<Float32Array> {
    const file = await readSafetensors(path);
    const parts: Float32Array[] = [];
    for (const name of [...file.tensors.keys()].sort()) parts.push(await file.readFloat32(name));
    await file.close();
    const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
  const length = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  const distance = (a: Float32Array, b: Float32Array) =>
    length(Float32Array.from(a, (value, i) => value - b[i]!)) / length(b);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'groups-'));
    model = { modelPath: await writeRandomModel(join(folder, 'model'), config), modelDigest: 'groups' };
    const targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
    const lora = { rank: 8, alpha: 16, targets, rankStabilized: false };
    const [fresh, moved] = [join(folder, 'fresh'), join(folder, 'moved')];
    await createAdapter({ model, lora, seed: 'groups', outputPath: fresh, baseModelName: 'random' });
    adapterPath = fresh;
    const gradientPaths = [(await gradient(sequences)).outputPath];
    const outputOptimizerStatePath = join(folder, 'state.safetensors');
    await update({ adapterPath, gradientPaths, optimizer, outputAdapterPath: moved, outputOptimizerStatePath });
    // One step away from B = 0, so that every part of the gradient is there.
    adapterPath = moved;
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('are the sum of those of each sample alone, to rounding; the figures of a sample are the same bits', async () => {
    const together = await gradient(sequences);
    const alone = await gradient(sequences, 1);
    expect(distance(await flat(together.outputPath), await flat(alone.outputPath))).toBeLessThan(1e-6);
    expect(together.result.sequences).toEqual(alone.result.sequences);
    expect(together.result.realTokens).toBe(alone.result.realTokens);
    const filled = [23, 40, 23].reduce((sum, length) => sum + length - 1, 0);
    const own = sequences.reduce((sum, { completionTokens }) => sum + completionTokens.length, 0);
    expect(together.result.filledTokens).toBe(filled + own);
  });

  it('have the same bits whatever is run together, on any number of threads, in any shards', async () => {
    const whole = await gradient(sequences, 4096, 2);
    const bits = readFileSync(whole.outputPath);
    const largest = Math.max(
      ...promptGroups(sequences, 4096).map((group) => rowLength(group.map((i) => sequences[i]!))),
    );
    for (const threads of [1, 3])
      expect(readFileSync((await gradient(sequences, largest, threads)).outputPath).equals(bits)).toBe(true);

    const shards = shardsOf(sequences, 2, 4096);
    expect(shards.map((shard) => shard.length)).toEqual([4, 3, 4]);
    expect(shardsOf(sequences, 8, 4096).map((shard) => shard.length)).toEqual([7, 4]);
    // Two neighbours that share a prompt by chance make no further shard.
    const twins = [0, 4, 7, 8].map((index) => sequences[index]!);
    expect(shardsOf(twins, 4, 4096).map((shard) => shard.length)).toEqual([4]);
    // Where every weight is trained each sequence is a leaf: shards are cut after 2^k of them, whatever their prompts.
    expect(shardsOf(sequences, 4, tokenLimitFor(true, 4096)).map((shard) => shard.length)).toEqual([4, 4, 3]);
    const sum = new TreeSum(shards.length);
    for (const [place, shard] of shards.entries()) sum.add(place, await flat((await gradient(shard)).outputPath));
    expect(sum.total()).toEqual(await flat(whole.outputPath));
  });

  it('log-probabilities of a sample have the same bits alone and in its group', async () => {
    const scored = sequences.map(({ id, promptTokens, completionTokens }) => ({ id, promptTokens, completionTokens }));
    const [grouping, single] = [trainerOf(1024, 2), trainerOf(1, 1)];
    const policy = { ...model, adapterPath };
    const together = await grouping.logProbs({ policy, sequences: scored, temperature: 0.8 });
    expect(await single.logProbs({ policy, sequences: scored, temperature: 0.8 })).toEqual(together);
    await Promise.all([grouping.release(), single.release()]);
  });
});
