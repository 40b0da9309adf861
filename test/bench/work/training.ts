/** LoRA training: forward and backward pass, its memory, and the padding of mixed lengths. */
import { join } from 'node:path';
import { matrixPeak } from '../../../engine/session/matrixPeak.ts';
import { nominalGflop } from '../../../engine/train/nominalWork.ts';
import { startEngine } from '../../../engine/host/engineClient.ts';
import type { HostedEngine } from '../../../engine/host/engineClient.ts';
import type { GradientRequest, LoraSettings, PolicyWeights, TrainingSequence } from '../../../engine/policy.ts';
import { TINY, writeRandomModel } from '../../engine/train/randomModel.ts';
import type { Bench } from '../bench.ts';
import type { Measurement } from '../figures.ts';
import { pseudoRandom, randomTokens } from '../randomTokens.ts';

export interface Shape {
  rows: number;
  length: number;
}

export const lora: LoraSettings = {
  rank: 16,
  alpha: 32,
  targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'],
  rankStabilized: false,
};

/** Tokens a second of forward and backward pass; the peer is PEFT. Loss at every position on both sides. */
export async function trainingSpeed(bench: Bench, shape: Shape): Promise<Measurement> {
  const { speed } = await measureTraining(bench, shape);
  return speed;
}

/** The same pass in GFLOPS, and as the peer the machine's peak, measured before and after each run. */
export async function shareOfPeak(bench: Bench, shape: Shape): Promise<Measurement> {
  const { speed, peaks } = await measureTraining(bench, shape);
  const tokens = shape.rows * shape.length;
  const gflop = nominalGflop(bench.model.config, lora, { ...shape, completionTokens: tokens });
  return { ours: speed.ours.map((rate) => (gflop * rate) / tokens), peer: peaks };
}

/** Peak memory of a new engine that computes gradients of the shape, GB (10^9 bytes); the peer's process for comparison. */
export async function trainingMemory(bench: Bench, shape: Shape): Promise<Measurement> {
  await bench.release();
  const request = gradientRequest(bench.model.weights, bench.scratch, trainingRows(bench, shape));
  const bytes = await bench.withFreshEngine(async (engine) => {
    await engine.createAdapter(adapterRequest(request));
    await engine.gradients(request);
    return engine.peakMemoryBytes();
  });
  return { ours: [bytes / 1e9] };
}

/**
 * Share of padding among the positions computed for 64 sequences of 40 to 600 tokens, by the micro-batches that the trainer runs with its default
 * settings: it does not depend on the model, so a tiny one computes them.
 */
export async function paddingShare(bench: Bench): Promise<Measurement> {
  const modelPath = await writeRandomModel(join(bench.scratch, 'tiny'), TINY);
  const model: PolicyWeights = { modelPath, modelDigest: 'tiny' };
  const random = pseudoRandom(5);
  const sequences = Array.from({ length: 64 }, (_, row) => {
    const length = 40 + Math.floor(random() * 561);
    const prompt = 20 + Math.floor(random() * 20);
    return trainingSequence(row, randomTokens(length, TINY.vocabularySize, random), prompt);
  });
  const request = gradientRequest(model, join(bench.scratch, 'tiny'), sequences);
  const engine = startEngine({ ...bench.model.settings, cachePath: join(bench.scratch, 'tiny', 'cache') });
  try {
    await engine.createAdapter(adapterRequest(request));
    const { computedTokens, filledTokens } = await engine.gradients(request);
    return { ours: [1 - filledTokens / computedTokens] };
  } finally {
    await engine.close();
  }
}

function measureTraining(bench: Bench, shape: Shape): Promise<{ speed: Measurement; peaks: number[] }> {
  return bench.once(`training ${shape.rows} x ${shape.length}`, async () => {
    const peer = await bench.peer('peft');
    const request = gradientRequest(bench.model.weights, bench.scratch, trainingRows(bench, shape));
    await bench.engine.createAdapter(adapterRequest(request));
    const tokens = shape.rows * shape.length;
    const { threads } = bench.model.settings;
    const peaks: number[] = [];
    const ours = async () => {
      const before = await matrixPeak(threads);
      const seconds = await secondsOf(bench.engine, request);
      peaks.push(Math.max(before, await matrixPeak(threads)));
      return tokens / seconds;
    };
    const theirs = peer && (async () => tokens / (await peer.ask<{ seconds: number }>(shape)).seconds);
    const speed = await bench.inTurn(ours, theirs);
    // The first time does not count.
    return { speed, peaks: peaks.slice(1) };
  });
}

async function secondsOf(engine: HostedEngine, request: GradientRequest): Promise<number> {
  const started = performance.now();
  await engine.gradients(request);
  return (performance.now() - started) / 1000;
}

/** Sequences of which the model reads `length` tokens and predicts as many: the loss is on every position. */
function trainingRows({ model }: Bench, { rows, length }: Shape): TrainingSequence[] {
  const random = pseudoRandom(rows * length);
  return Array.from({ length: rows }, (_, row) =>
    trainingSequence(row, randomTokens(length + 1, model.config.vocabularySize, random), 1),
  );
}

function trainingSequence(row: number, tokens: number[], promptLength: number): TrainingSequence {
  const completionTokens = tokens.slice(promptLength);
  return {
    id: `row ${row}`,
    promptTokens: tokens.slice(0, promptLength),
    completionTokens,
    weight: 1 / completionTokens.length,
  };
}

function gradientRequest(model: PolicyWeights, folder: string, sequences: TrainingSequence[]): GradientRequest {
  return {
    model,
    adapterPath: join(folder, 'adapter'),
    sequences,
    objective: { name: 'sft' },
    outputPath: join(folder, 'gradient.safetensors'),
  };
}

const adapterRequest = ({ model, adapterPath }: GradientRequest) => ({
  model,
  lora,
  seed: 'bench',
  outputPath: adapterPath,
  baseModelName: 'bench',
});
