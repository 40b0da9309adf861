/**
 * Speed of the LoRA training step: SmolLM2-135M's shape (random weights, or the model in BENCH_MODEL), rank 16 on all seven projections,
 * forward + backward of BENCH_ROWS x BENCH_LENGTH tokens (default 8 x 192), and the fraction of the machine's matrix-product peak it reaches.
 * Run: node test/bench/train.ts. Settings: BENCH_THREADS, BENCH_MICRO_BATCH_TOKENS, BENCH_PROMPT (prompt tokens of a row), BENCH_REPEATS, BENCH_CACHE.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configJson } from '../../engine/formats/configJson.ts';
import { writeSafetensors } from '../../engine/formats/safetensors.ts';
import { Graph } from '../../engine/graph/builder.ts';
import * as op from '../../engine/graph/operators.ts';
import type { DecoderConfig } from '../../engine/model/config.ts';
import { createAdapter } from '../../engine/model/createAdapter.ts';
import { expectedTensors, openModel } from '../../engine/model/weights.ts';
import { openSession } from '../../engine/session/session.ts';
import { Trainer } from '../../engine/train/trainer.ts';

const setting = (name: string, otherwise: number) => Number(process.env[`BENCH_${name}`] ?? otherwise);
const threads = setting('THREADS', 2);
const rows = setting('ROWS', 8);
const length = setting('LENGTH', 192);
const promptLength = setting('PROMPT', 64);

const smolLM2: DecoderConfig = {
  architecture: 'llama',
  hiddenSize: 576,
  layers: 30,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  intermediateSize: 1536,
  vocabularySize: 49152,
  contextLength: 8192,
  ropeTheta: 100000,
  rmsNormEpsilon: 1e-5,
  tiedEmbeddings: true,
  attentionBias: false,
  queryKeyNorm: false,
  eosTokens: [2],
};

const folder = mkdtempSync(join(tmpdir(), 'bench-'));
try {
  const peak = await matrixPeak();
  const modelPath = process.env['BENCH_MODEL'] ?? (await randomModel());
  const files = await openModel(modelPath);
  await files.close();
  const { config } = files;
  const model = { modelPath, modelDigest: 'bench' };
  const adapterPath = join(folder, 'adapter');
  const lora = {
    rank: 16,
    alpha: 32,
    targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
    rankStabilized: false,
  };
  await createAdapter({ model, lora, seed: 'bench', outputPath: adapterPath, baseModelName: 'bench' });
  const trainer = new Trainer({
    threads,
    device: 'cpu',
    decodeBatch: 1,
    microBatchTokens: setting('MICRO_BATCH_TOKENS', rows * length),
    cachePath: process.env['BENCH_CACHE'] ?? join(folder, 'cache'),
  });
  const sequences = Array.from({ length: rows }, (_, row) => {
    const tokens = Array.from({ length }, (_token, i) => (row * 7919 + i * 104729) % config.vocabularySize);
    return {
      id: `row ${row}`,
      promptTokens: tokens.slice(0, promptLength),
      completionTokens: tokens.slice(promptLength),
      weight: 1 / (rows * (length - promptLength)),
    };
  });
  const step = () =>
    trainer.gradients({
      model,
      adapterPath,
      sequences,
      objective: { name: 'sft' },
      outputPath: join(folder, 'gradient.safetensors'),
    });
  const opening = performance.now();
  await step();
  console.log(`first step, with conversion and compilation: ${((performance.now() - opening) / 1000).toFixed(1)} s`);
  let best = Infinity;
  let busy = Infinity;
  for (let repeat = 0; repeat < setting('REPEATS', 3); repeat++) {
    const start = performance.now();
    const cpu = process.cpuUsage();
    await step();
    best = Math.min(best, performance.now() - start);
    const used = process.cpuUsage(cpu);
    busy = Math.min(busy, (used.user + used.system) / 1e6);
  }
  const tokens = rows * length;
  const gflops = nominalGflop(config, tokens, rows * (length - promptLength)) / (best / 1000);
  console.log(
    `gradients, ${rows} x ${length} (${promptLength} of the prompt), ${threads} threads: ${(best / 1000).toFixed(2)} s = ${((tokens / best) * 1000).toFixed(0)} tokens/s`,
  );
  console.log(`${gflops.toFixed(0)} of ${peak.toFixed(0)} GFLOPS (${((gflops / peak) * 100).toFixed(0)} %)`);
  console.log(`processor time ${busy.toFixed(2)} s`);
  const scoring = performance.now();
  await trainer.logProbs({ policy: { ...model, adapterPath }, sequences, temperature: 1 });
  console.log(
    `log-probabilities of the same: ${((tokens / (performance.now() - scoring)) * 1000).toFixed(0)} tokens/s`,
  );
  console.log(`peak memory ${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(2)} GiB`);
  await trainer.release();
} finally {
  rmSync(folder, { recursive: true });
}

/** Products only: forward and input gradients of all projections and the head, attention, LoRA left out. 10^9 operations. */
function nominalGflop(config: DecoderConfig, tokens: number, completionTokens: number): number {
  const head = config.vocabularySize * config.hiddenSize;
  const all = [...expectedTensors(config)].filter(([name, shape]) => shape.length === 2 && !/embed|lm_head/.test(name));
  const projections = all.reduce((sum, [, shape]) => sum + shape[0]! * shape[1]!, 0);
  return (4 * projections * tokens + 4 * head * completionTokens) / 1e9;
}

/** GFLOPS of a large matrix product with a packed weight. */
async function matrixPeak(): Promise<number> {
  const [m, k, n] = [1536, 1536, 1536];
  const graph = new Graph('peak');
  const x = graph.input('x', 'float32', [m, k]);
  const weight = graph.constant(new Float32Array(n * k).fill(0.5), 'float32', [n, k]);
  graph.output('y', op.reduceMax(op.matmul(x, weight, { transB: true }), [0, 1]));
  const session = await openSession(graph, { threads, device: 'cpu' });
  const feeds = { x: { data: new Float32Array(m * k).fill(0.25), shape: [m, k] } };
  let best = Infinity;
  for (let repeat = 0; repeat < 8; repeat++) {
    const start = performance.now();
    await session.run(feeds);
    best = Math.min(best, performance.now() - start);
  }
  await session.release();
  return (2 * m * k * n) / 1e9 / (best / 1000);
}

async function randomModel(): Promise<string> {
  let state = 1;
  const random = (shape: number[]) => {
    const values = new Float32Array(shape.reduce((product, dimension) => product * dimension, 1));
    if (shape.length === 1) return values.fill(1);
    for (let i = 0; i < values.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      values[i] = (state / 2 ** 31) * 0.04;
    }
    return values;
  };
  const tensors = [...expectedTensors(smolLM2)].map(([name, shape]) => ({ name, shape, data: () => random(shape) }));
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, { format: 'pt' });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(configJson(smolLM2)));
  return folder;
}
