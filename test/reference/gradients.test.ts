import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import { gradients } from '../../engine/graph/gradients.ts';
import * as op from '../../engine/graph/operators.ts';
import { createAdapter } from '../../engine/model/createAdapter.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import { openSession } from '../../engine/session/session.ts';
import { layOut } from '../../engine/train/microBatch.ts';
import { Trainer } from '../../engine/train/trainer.ts';
import { testDevice } from '../gpu/testDevice.ts';
import { decoderGraph } from './decoderGraph.ts';
import { describeCases, goldenArrays, relativeError } from './golden.ts';

interface GradientCase {
  model_dir: string;
  batch: { rows: number[][] };
  prompt_lengths: number[];
  completion_tokens: number;
  loss_f64: number;
  lora: { loss_f64: number; adapter_dir: string };
  tolerance: { lora: { suggested_atol: number }; full: { suggested_atol: number } };
}

describeCases<GradientCase>('gradients', 'gradients of the mean cross entropy', (golden) => {
  const { info } = golden;
  const model = { modelPath: join(golden.folder, info.model_dir), modelDigest: 'model' };
  const sequences = info.batch.rows.map((row, i) => ({
    id: `row ${i}`,
    promptTokens: row.slice(0, info.prompt_lengths[i]),
    completionTokens: row.slice(info.prompt_lengths[i]),
    weight: 1 / info.completion_tokens,
  }));
  let cachePath: string;
  beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'gradients-'))));
  afterAll(() => rmSync(cachePath, { recursive: true }));

  it.each(['LoRA matrix', 'parameter'] as const)('of every %s, by the trainer', async (trained) => {
    const full = trained === 'parameter';
    const prefix = full ? 'grad_f64/' : 'lora_grad_f64/';
    const tolerance = (full ? info.tolerance.full : info.tolerance.lora).suggested_atol;
    let adapterPath = join(golden.folder, info.lora.adapter_dir);
    if (full) {
      adapterPath = join(cachePath, 'all');
      await createAdapter({ model, lora: 'all', seed: '', outputPath: adapterPath, baseModelName: 'golden' });
    }
    const trainer = new Trainer({ threads: 2, device: testDevice, decodeBatch: 1, microBatchTokens: 4096, cachePath });
    const outputPath = join(cachePath, `gradient of every ${trained}.safetensors`);
    const objective = { name: 'sft' } as const;
    const result = await trainer.gradients({ model, adapterPath, sequences, objective, outputPath });
    await trainer.release();
    const loss = result.sequences.reduce((sum, sequence) => sum + sequence.loss, 0);
    expect(relativeError([loss], [full ? info.loss_f64 : info.lora.loss_f64])).toBeLessThan(1e-5);

    const expected = await goldenArrays(golden);
    const actual = await readSafetensors(outputPath);
    const tensors = tensorsUnder(prefix, expected.names);
    expect([...actual.tensors.keys()].sort()).toEqual(tensors.sort());
    for (const tensor of tensors) {
      const reference = await expected.read(`${prefix}${tensor}`);
      expect(relativeError(await actual.readFloat64(tensor), reference), tensor).toBeLessThan(tolerance);
    }
    await actual.close();
    await expected.close();
  });

  it('of every parameter, in plain operators', async () => {
    const expected = await goldenArrays(golden);
    const weightFile = await convertedWeights(model, cachePath);
    const { graph, weights, logits } = decoderGraph(weightFile);
    const targets = graph.input('targets', 'int64', ['tokens']);
    const weight = graph.input('weight', 'float32', ['tokens']);
    const loss = op.neg(op.squeeze(op.gatherElements(op.logSoftmax(logits), op.unsqueeze(targets, [1]), 1), [1]));
    graph.output('loss', op.reduceSum(op.mul(loss, weight), [0]));
    gradients([{ value: loss, seed: weight }], [...weights.values()]).forEach((gradient, i) =>
      graph.output(`gradient/${[...weights.keys()][i]}`, gradient!),
    );

    const session = await openSession(graph, { threads: 2, device: testDevice, weightsFolder: weightFile.folder });
    const batch = layOut(
      weightFile.config,
      sequences.map((sequence) => [sequence]),
      1,
    );
    const { temperature: _, ...feeds } = batch.feeds;
    const tokenWeights = new Float32Array(batch.gatheredTokens).fill(
      1 / info.completion_tokens,
      0,
      info.completion_tokens,
    );
    const result = await session.run({ ...feeds, weight: { data: tokenWeights, shape: [batch.gatheredTokens] } });
    await session.release();
    expect(relativeError([Number(result['loss']!.data[0])], [info.loss_f64])).toBeLessThan(1e-5);
    const tensors = tensorsUnder('grad_f64/', expected.names);
    expect(tensors.sort()).toEqual([...weights.keys()].sort());
    for (const tensor of tensors) {
      const reference = await expected.read(`grad_f64/${tensor}`);
      expect(relativeError(result[`gradient/${tensor}`]!.data as Float32Array, reference), tensor).toBeLessThan(
        info.tolerance.full.suggested_atol,
      );
    }
    await expected.close();
  });
});

const tensorsUnder = (prefix: string, names: string[]) =>
  names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
