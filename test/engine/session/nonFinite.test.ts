import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSafetensors, writeSafetensors } from '../../../engine/formats/safetensors.ts';
import { sampleSequences } from '../../../engine/generate/sampleSequences.ts';
import { openSampler } from '../../../engine/generate/sampler.ts';
import { Graph } from '../../../engine/graph/builder.ts';
import * as op from '../../../engine/graph/operators.ts';
import { createAdapter } from '../../../engine/model/createAdapter.ts';
import { convertedWeights } from '../../../engine/model/weightFile.ts';
import { openSession } from '../../../engine/session/session.ts';
import { Trainer } from '../../../engine/train/trainer.ts';
import { TINY, writeRandomModel } from '../train/randomModel.ts';

let folder: string;
let model: { modelPath: string; modelDigest: string };
let cachePath: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'non-finite-'));
  cachePath = join(folder, 'cache');
  model = { modelPath: await writeRandomModel(join(folder, 'model'), TINY), modelDigest: 'sha256:tiny' };
});
afterEach(() => rmSync(folder, { recursive: true }));

const sequences = [0, 1].map((i) => ({
  id: `s${i}`,
  promptTokens: [1, 2 + i],
  completionTokens: [5, 6, 7, 2],
  weight: 1 / 8,
}));
const trainerOf = () => new Trainer({ threads: 1, device: 'cpu', decodeBatch: 1, microBatchTokens: 64, cachePath });

/** Changes a tensor of the model where it lies: in its file, written anew, as one that a reader's checks let pass. */
async function changeWeight(name: string, change: (values: Float32Array) => void): Promise<void> {
  const path = join(model.modelPath, 'model.safetensors');
  const file = await readSafetensors(path);
  const tensors = [];
  for (const [tensor, { shape }] of file.tensors)
    tensors.push({ name: tensor, shape, data: await file.readFloat32(tensor) });
  await file.close();
  change(tensors.find((tensor) => tensor.name === name)!.data);
  await writeSafetensors(path, tensors, { format: 'pt' });
}

/** Puts NaN into the converted weights, after the reader has checked them. */
async function damageConverted(name: string, element: number): Promise<void> {
  const weightFile = await convertedWeights(model, cachePath);
  const { fileName, offset } = weightFile.locate(name);
  const file = await open(join(weightFile.folder, fileName), 'r+');
  await file.write(new Uint8Array(Float32Array.of(NaN).buffer), 0, 4, offset + 4 * element);
  await file.close();
}

describe('NaN and infinity in a model', () => {
  it('a weight that is NaN is named itself, not what it spoils', async () => {
    await damageConverted('model.layers.1.mlp.up_proj.weight', 3);
    const trainer = trainerOf();
    await expect(trainer.logProbs({ policy: model, sequences, temperature: 1 })).rejects.toMatchObject({
      kind: 'notFinite',
      message: expect.stringMatching(
        /sequence 's0': .*begins at the weight model\.layers\.1\.mlp\.up_proj\.weight itself: 1 of its values is NaN or infinite, shape \[48, 32\]/,
      ),
    });
    await trainer.release();
  });

  it('an overflow in an MLP: the first product over the range of float32 is named with its layer', async () => {
    for (const projection of ['gate_proj', 'up_proj'])
      await changeWeight(`model.layers.1.mlp.${projection}.weight`, (values) => void values.fill(1e30));
    const adapterPath = join(folder, 'adapter');
    const lora = { rank: 2, alpha: 4, targets: ['q_proj'], rankStabilized: false };
    await createAdapter({ model, lora, seed: 'one', outputPath: adapterPath, baseModelName: 'tiny' });
    const trainer = trainerOf();
    const request = {
      model,
      adapterPath,
      sequences,
      objective: { name: 'sft' } as const,
      outputPath: join(folder, 'g'),
    };
    // silu(1e30 a) times 1e30 a
    await expect(trainer.gradients(request)).rejects.toMatchObject({
      kind: 'notFinite',
      message: expect.stringMatching(
        /begins at Mul \(Mul_\d+, after model\.layers\.1\.mlp\.(gate|up)_proj\.weight\): \d+ of its values are NaN or infinite, shape \[batch, sequence, 48\]; its operands are finite/,
      ),
    });
    await trainer.release();
  });

  it('a loss that is infinite by its own weights: the input is named', async () => {
    const adapterPath = join(folder, 'adapter');
    const lora = { rank: 2, alpha: 4, targets: ['q_proj'], rankStabilized: false };
    await createAdapter({ model, lora, seed: 'one', outputPath: adapterPath, baseModelName: 'tiny' });
    const trainer = trainerOf();
    const infinite = sequences.map((sequence) => ({ ...sequence, weight: Infinity }));
    const request = { model, adapterPath, objective: { name: 'sft' } as const, outputPath: join(folder, 'g') };
    await expect(trainer.gradients({ ...request, sequences: infinite })).rejects.toThrow(
      /gradient of .*: it begins at the input weight itself: 8 of its values are NaN/,
    );
    await trainer.release();
  });

  it.each([
    ['in the shared prefix', 3, /first 3 tokens of a prompt/],
    ['in the rest', 0, /prompt 'p', sample 0, token 0/],
  ])('while sampling, %s', async (_name, prefixLength, where) => {
    await changeWeight('model.layers.0.self_attn.v_proj.weight', (values) => void values.fill(3e38));
    const sampler = await openSampler(await convertedWeights(model, cachePath), undefined, {
      threads: 1,
      device: 'cpu',
    });
    const prompt = { id: 'p', tokens: [1, 2, 3, 4], prefixLength, seeds: ['s'] };
    const options = { temperature: 1, maxNewTokens: 2, stopTokens: [] };
    const sampled = sampleSequences(sampler, [prompt], options, { decodeBatch: 1, prefillTokens: 64 }, () => undefined);
    await expect(sampled).rejects.toMatchObject({
      kind: 'notFinite',
      message: expect.stringMatching(where),
    });
    await expect(sampled).rejects.toThrow(/begins at FusedMatMul \(.*of model\.layers\.0\.self_attn\.v_proj\.weight\)/);
    await sampler.release();
  });
});

describe('search for the first operator', () => {
  const run = async (graph: Graph, x: number[]) => {
    const session = await openSession(graph, { threads: 1, device: 'cpu' });
    const source = await session.findNonFinite({ x: { data: Float32Array.from(x), shape: [x.length] } });
    await session.release();
    return source;
  };

  it('looks into the branch that is taken and leaves the other one alone', async () => {
    const graph = new Graph('branches');
    const x = graph.input('x', 'float32', ['n']);
    const positive = op.greater(op.reduceSum(x, [0]), 0);
    const logarithm = graph.subgraph('logarithm', (branch) => void branch.output('log', op.add(op.log(x), 1)));
    const root = graph.subgraph('root', (branch) => void branch.output('root', op.mul(op.sqrt(x), op.sqrt(x))));
    graph.output('y', op.choose(positive, logarithm, root)[0]!);
    expect(await run(graph, [1, 2, 0])).toMatchObject({ operator: 'Log', count: 1 });
    expect((await run(graph, [1, 2, 0]))!.description).toMatch(/^Log \(Log_\d+, in 'logarithm'\): 1 of its values is/);
    expect(await run(graph, [-4, 1, -9])).toMatchObject({ operator: 'Sqrt', count: 2 });
    expect(await run(graph, [1, 2, 3])).toBeUndefined();
  });

  it('adds up the iterations of a loop', async () => {
    const graph = new Graph('loop');
    const x = graph.input('x', 'float32', ['n']);
    const body = graph.subgraph('body', (inside) => {
      const iteration = inside.input('i', 'int64', []);
      inside.output('go', op.identity(inside.input('condition', 'bool', [])));
      const divisor = op.sub(op.cast(iteration, 'float32'), 1);
      inside.output('quotient', op.mul(op.div(x, divisor), 2));
    });
    graph.output('y', op.loop(op.scalar(graph, 3, 'int64'), undefined, [], body, 'trips').stacked[0]!);
    expect(await run(graph, [1, 2, 3])).toMatchObject({ operator: 'Div', count: 3 });
  });

  it('is not misled by a value that hides an infinite one later on', async () => {
    const graph = new Graph('hidden');
    const x = graph.input('x', 'float32', ['n']);
    graph.output('y', op.log(op.min(op.exp(x), 0)));
    expect(await run(graph, [1000])).toMatchObject({ operator: 'Exp', count: 1 });
  });
});
