import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Graph } from '../../engine/graph/builder.ts';
import { gradients } from '../../engine/graph/gradients.ts';
import * as op from '../../engine/graph/operators.ts';
import { declareWeights, decoderLayers, embed, fullAttention, outputHead } from '../../engine/model/decoder.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import { openSession } from '../../engine/session/session.ts';
import { layOut } from '../../engine/train/microBatch.ts';
import { Trainer } from '../../engine/train/trainer.ts';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import { describeGolden, goldenArrays, goldenCase, GOLDEN_DIR, relativeError } from './golden.ts';

interface GradientCase {
  batch: { rows: number[][] };
  prompt_lengths: number[];
  completion_tokens: number;
  loss_f64: number;
  lora: { loss_f64: number; adapter_dir: string };
  tolerance: { lora: { suggested_atol: number }; full: { suggested_atol: number } };
}

const CASES = ['llama', 'llama_rope_llama3', 'mistral', 'qwen2', 'qwen3', 'smollm_tied'];

describeGolden('LoRA gradients of the mean cross entropy against PEFT', () => {
  let cachePath: string;
  beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'gradients-'))));
  afterAll(() => rmSync(cachePath, { recursive: true }));

  it.each(CASES)('%s', async (name) => {
    const golden = goldenCase<GradientCase>(`gradients/${name}`);
    const expected = await goldenArrays(`gradients/${name}`);
    const trainer = new Trainer({ threads: 2, device: 'cpu', decodeBatch: 1, microBatchTokens: 4096, cachePath });
    const outputPath = join(cachePath, `${name}.safetensors`);
    const result = await trainer.gradients({
      model: { modelPath: join(GOLDEN_DIR, 'forward', name), modelDigest: name },
      adapterPath: join(GOLDEN_DIR, 'gradients', name, golden.lora.adapter_dir),
      sequences: golden.batch.rows.map((row, i) => ({
        id: `row ${i}`,
        promptTokens: row.slice(0, golden.prompt_lengths[i]),
        completionTokens: row.slice(golden.prompt_lengths[i]),
        weight: 1 / golden.completion_tokens,
      })),
      objective: { name: 'sft' },
      outputPath,
    });
    await trainer.release();
    expect(result.sequences.reduce((sum, { loss }) => sum + loss, 0)).toBeCloseTo(golden.lora.loss_f64, 4);
    const actual = await readSafetensors(outputPath);
    const names = expected.names.filter((array) => array.startsWith('lora_grad_f64/'));
    expect([...actual.tensors.keys()].sort()).toEqual(names.map((array) => array.replace('lora_grad_f64/', '')).sort());
    for (const array of names) {
      const tensor = array.replace('lora_grad_f64/', '');
      expect(relativeError(await actual.readFloat64(tensor), await expected.read(array)), tensor).toBeLessThan(
        golden.tolerance.lora.suggested_atol,
      );
    }
    await actual.close();
    await expected.close();
  });
});

describeGolden('gradients of all parameters against Transformers', () => {
  let cachePath: string;
  beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'gradients-'))));
  afterAll(() => rmSync(cachePath, { recursive: true }));

  it.each(CASES)('%s', async (name) => {
    const golden = goldenCase<GradientCase>(`gradients/${name}`);
    const expected = await goldenArrays(`gradients/${name}`);
    const weightFile = await convertedWeights(
      { modelPath: join(GOLDEN_DIR, 'forward', name), modelDigest: name },
      cachePath,
    );
    const { config } = weightFile;
    const sequences = golden.batch.rows.map((row, i) => ({
      id: `row ${i}`,
      promptTokens: row.slice(0, golden.prompt_lengths[i]),
      completionTokens: row.slice(golden.prompt_lengths[i]),
    }));
    const batch = layOut(config, sequences, 1);

    const graph = new Graph('full');
    const tokens = graph.input('tokens', 'int64', ['batch', 'sequence']);
    const mask = graph.input('mask', 'float32', ['sequence', 'sequence']);
    const [cos, sin] = ['cos', 'sin'].map((table) => graph.input(table, 'float32', ['sequence', config.headDim / 2]));
    const [rows, targets] = ['completionRows', 'targets'].map((indices) => graph.input(indices, 'int64', ['tokens']));
    const weight = graph.input('weight', 'float32', ['tokens']);
    const weights = declareWeights(graph, config, (tensor) => weightFile.locate(tensor));
    const rotary = { positions: op.integers(graph, [0]), cos: cos!, sin: sin! };
    const hidden = decoderLayers(
      { config, weights, rotary, attend: fullAttention(config, mask) },
      embed(weights, tokens),
    );
    // The head in plain operators: what the trainer's chunked head computes by its own rule.
    const gathered = op.gather(op.reshape(hidden, ['batch*sequence', config.hiddenSize]), rows!);
    const logProbs = op.logSoftmax(op.matmul(gathered, outputHead(config, weights), { transB: true }));
    const loss = op.neg(op.squeeze(op.gatherElements(logProbs, op.unsqueeze(targets!, [1]), 1), [1]));
    graph.output('loss', op.reduceSum(op.mul(loss, weight), [0]));
    gradients([{ value: loss, seed: weight }], [...weights.values()]).forEach((gradient, i) =>
      graph.output(`gradient/${[...weights.keys()][i]}`, gradient!),
    );

    const session = await openSession(graph, { threads: 2, device: 'cpu', weightsFolder: weightFile.folder });
    const { temperature: _, ...feeds } = batch.feeds;
    const weightValues = new Float32Array(batch.gatheredTokens).fill(
      1 / golden.completion_tokens,
      0,
      golden.completion_tokens,
    );
    const result = await session.run({ ...feeds, weight: { data: weightValues, shape: [batch.gatheredTokens] } });
    await session.release();
    expect(Number(result['loss']!.data[0])).toBeCloseTo(golden.loss_f64, 4);
    const names = expected.names.filter((array) => array.startsWith('grad_f64/'));
    expect(names.length).toBe(weights.size);
    for (const array of names) {
      const tensor = array.replace('grad_f64/', '');
      expect(
        relativeError(result[`gradient/${tensor}`]!.data as Float32Array, await expected.read(array)),
        tensor,
      ).toBeLessThan(golden.tolerance.full.suggested_atol);
    }
    await expected.close();
  });
});
