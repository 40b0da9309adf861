/** Folders written by this engine and read by PEFT and Transformers, and the other way round, on tiny random models. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import { engineVerbs } from '../../engine/host/verbs.ts';
import { readAdapter } from '../../engine/model/adapter.ts';
import type { DecoderConfig } from '../../engine/model/config.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import type { LoraSettings } from '../../engine/policy.ts';
import { findPackagedModel } from '../../infra/modelSource/packagedModel.ts';
import { cadaCache } from '../../infra/paths.ts';
import { TINY, writeRandomModel } from '../engine/train/randomModel.ts';
import { logitsOf, logProbsFrom } from '../reference/decoderGraph.ts';
import { absoluteError, largestOf } from '../reference/golden.ts';
import { differentEncodings, tokenizerJob } from './tokenizerJob.ts';
import type { TokenizerJob } from './tokenizerJob.ts';

const ALL_SEVEN = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

interface Scenario {
  config: DecoderConfig;
  /** Written by us. */
  lora: LoraSettings;
  /** Written by PEFT. */
  peft: Record<string, unknown>;
}

export const SCENARIOS: Record<string, Scenario> = {
  'llama, one rank': {
    config: TINY,
    lora: { rank: 4, alpha: 10, targets: ALL_SEVEN, rankStabilized: false },
    peft: { r: 3, lora_alpha: 7, target_modules: ['q_proj', 'v_proj'] },
  },
  'qwen3, ranks and alphas by module': {
    config: { ...TINY, architecture: 'qwen3', queryKeyNorm: true, headDim: 12, tiedEmbeddings: false },
    lora: {
      rank: 4,
      alpha: 8,
      targets: ALL_SEVEN,
      rankStabilized: false,
      rankPattern: { q_proj: 6, 'layers.1.mlp.down_proj': 1 },
      alphaPattern: { 'layers.0.self_attn.[kv]_proj': 20 },
    },
    peft: {
      r: 2,
      lora_alpha: 3,
      target_modules: ALL_SEVEN,
      // "proj" fits no whole part of a name: PEFT passes over it.
      rank_pattern: { proj: 9, 'layers.1.self_attn.*': 5, up_proj: 3 },
      alpha_pattern: { '^model.layers.0.mlp.gate_proj': 11 },
    },
  },
  'qwen2, rank-stabilised, ranks by module': {
    config: { ...TINY, architecture: 'qwen2', attentionBias: true },
    lora: {
      rank: 9,
      alpha: 5,
      targets: ['k_proj', 'o_proj', 'up_proj'],
      rankStabilized: true,
      rankPattern: { o_proj: 2 },
    },
    peft: {
      r: 8,
      lora_alpha: 2,
      use_rslora: true,
      target_modules: String.raw`.*layers\.1\..*(k_proj|down_proj)`,
      rank_pattern: { k_proj: 3 },
    },
  },
  'mistral, sliding window, one alpha by module': {
    config: { ...TINY, architecture: 'mistral', slidingWindow: 5, headDim: 16 },
    lora: { rank: 2, alpha: 2, targets: ALL_SEVEN, rankStabilized: false, alphaPattern: { v_proj: 0.5 } },
    peft: { r: 5, lora_alpha: 9, target_modules: ['o_proj', 'gate_proj'], layers_to_transform: [0] },
  },
};

const DIRECTIONS = {
  adapter: 'PEFT reads the adapter that we wrote: the same logits',
  merged: 'Transformers reads the model that we merged: the same logits',
  peft: 'we read the adapter that PEFT wrote: the same log-probabilities',
};

const TOKENIZER_CHECK = 'Transformers reads the tokenizer that we wrote: the same ids (SmolLM2-135M-Instruct)';

export const CHECKS = [
  ...Object.keys(SCENARIOS).flatMap((scenario) =>
    Object.values(DIRECTIONS).map((direction) => `${direction} (${scenario})`),
  ),
  TOKENIZER_CHECK,
];

/** Largest difference allowed, for numbers of size 1. */
export const TOLERANCE = 1e-5;

/** Largest difference found, relative to the largest number if that is above 1 (of ids: how many texts differ); or what went wrong. */
export type Outcome = { difference: number } | { error: string } | { skipped: string };

const ROWS = [
  [5, 9, 60, 1, 33, 8, 2, 17, 17, 4, 51, 29],
  [63, 0, 12],
  [7, 31, 45, 2, 40, 3, 3],
];

interface ModelJob {
  do: 'read adapter' | 'write adapter' | 'read model';
  model: string;
  adapter?: string;
  settings?: object;
  seed?: number;
  rows: number[][];
  out: string;
}

/** Runs every check; files go to `folder`. @throws Error when Python itself fails. */
export async function checkInterchange(python: string, folder: string): Promise<Map<string, Outcome>> {
  const jobs: Record<string, ModelJob | TokenizerJob> = {};
  const comparisons = new Map<string, () => Promise<number>>();
  for (const [number, [name, scenario]] of Object.entries(SCENARIOS).entries()) {
    const home = join(folder, String(number));
    const names = {
      adapter: `${DIRECTIONS.adapter} (${name})`,
      merged: `${DIRECTIONS.merged} (${name})`,
      peft: `${DIRECTIONS.peft} (${name})`,
    };
    const paths = await writeFolders(home, scenario);
    const out = (file: string) => join(home, `${file}.safetensors`);
    const ours = { rows: ROWS, model: paths.model };
    jobs[names.adapter] = { ...ours, do: 'read adapter', adapter: paths.adapter, out: out('adapter') };
    jobs[names.merged] = { ...ours, do: 'read model', model: paths.merged, out: out('merged') };
    const peftAdapter = join(home, 'peft');
    const settings = { lora_dropout: 0, ...scenario.peft };
    jobs[names.peft] = { ...ours, do: 'write adapter', adapter: peftAdapter, settings, seed: number, out: out('peft') };

    const weightFile = () => convertedWeights({ modelPath: paths.model, modelDigest: 'model' }, home);
    const ourLogits = async () => {
      const file = await weightFile();
      return logitsOf(file, ROWS, await readAdapter(paths.adapter, file.config));
    };
    comparisons.set(names.adapter, async () => difference(await ourLogits(), await logitsIn(out('adapter'))));
    comparisons.set(names.merged, async () => difference(await ourLogits(), await logitsIn(out('merged'))));
    comparisons.set(names.peft, async () => {
      const theirs = logProbsFrom(await logitsIn(out('peft')), ROWS, scenario.config.vocabularySize);
      const logProbs = await engineVerbs(engineSettings(home)).logProbs(
        {
          policy: { modelPath: paths.model, modelDigest: 'model', adapterPath: peftAdapter },
          sequences: sequencesOf(ROWS),
          temperature: 1,
        },
        () => undefined,
      );
      return difference(logProbs.flat(), theirs);
    });
  }

  const gguf = await findPackagedModel(cadaCache());
  if (gguf) {
    const job = await tokenizerJob(gguf, join(folder, 'tokenizer'));
    jobs[TOKENIZER_CHECK] = job;
    comparisons.set(TOKENIZER_CHECK, () => differentEncodings(gguf, job));
  }

  const answers = await runJobs(python, folder, jobs);
  const outcomes = new Map<string, Outcome>();
  for (const name of CHECKS) {
    const compare = comparisons.get(name);
    const error = answers[name]?.error;
    if (!compare) outcomes.set(name, { skipped: 'the model is not in the cache (`cada train` fetches it)' });
    else if (error) outcomes.set(name, { error: `Python: ${error}` });
    else outcomes.set(name, await outcomeOf(compare));
  }
  return outcomes;
}

const outcomeOf = (compare: () => Promise<number>): Promise<Outcome> =>
  compare().then(
    (difference) => ({ difference }),
    (failure: unknown) => ({ error: (failure as Error).message }),
  );

/** A model, an adapter after two optimizer steps (the first moves B, the second A), and both merged. */
async function writeFolders(home: string, { config, lora }: Scenario) {
  mkdirSync(home, { recursive: true });
  const model = await writeRandomModel(join(home, 'model'), config);
  writeFileSync(join(model, 'tokenizer.json'), JSON.stringify(SMALL_TOKENIZER));
  const verbs = engineVerbs(engineSettings(home));
  const policy = { modelPath: model, modelDigest: 'model' };
  const nothing = () => undefined;
  const path = (name: string) => join(home, name);
  await verbs.createAdapter(
    { model: policy, lora, seed: 'seed', outputPath: path('adapter-0'), baseModelName: 'org/tiny' },
    nothing,
  );
  for (const step of [1, 2]) {
    const adapterPath = path(`adapter-${step - 1}`);
    await verbs.gradients(
      {
        model: policy,
        adapterPath,
        sequences: sequencesOf(ROWS).map((sequence) => ({ ...sequence, weight: 0.1 })),
        objective: { name: 'sft' },
        outputPath: path('gradient'),
      },
      nothing,
    );
    await verbs.update(
      {
        adapterPath,
        ...(step > 1 ? { optimizerStatePath: path(`state-${step - 1}`) } : {}),
        gradientPaths: [path('gradient')],
        optimizer: { learningRate: 0.05, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, maxGradNorm: 0 },
        outputAdapterPath: path(`adapter-${step}`),
        outputOptimizerStatePath: path(`state-${step}`),
      },
      nothing,
    );
  }
  const adapter = path('adapter-2');
  await verbs.exportMerged({ policy: { ...policy, adapterPath: adapter }, outputPath: path('merged') }, nothing);
  return { model, adapter, merged: path('merged') };
}

async function runJobs(python: string, folder: string, jobs: object) {
  const [jobsPath, answersPath] = [join(folder, 'jobs.json'), join(folder, 'answers.json')];
  writeFileSync(jobsPath, JSON.stringify(jobs));
  const script = join(import.meta.dirname, 'peftJobs.py');
  const child = spawn(python, ['-B', script, jobsPath, answersPath], { stdio: ['ignore', 'inherit', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${python} ended with code ${code}: its message stands above`);
  return JSON.parse(readFileSync(answersPath, 'utf8')) as Record<string, { error?: string }>;
}

async function logitsIn(path: string): Promise<Float64Array> {
  const file = await readSafetensors(path);
  const logits = await file.readFloat64('logits');
  await file.close();
  return logits;
}

const difference = (ours: ArrayLike<number>, theirs: ArrayLike<number>) =>
  absoluteError(ours, theirs) / Math.max(1, largestOf(theirs));

const sequencesOf = (rows: number[][]) =>
  rows.map((row, i) => ({ id: `row ${i}`, promptTokens: row.slice(0, 1), completionTokens: row.slice(1) }));

const engineSettings = (cachePath: string) =>
  ({ threads: 1, device: 'cpu', decodeBatch: 1, microBatchTokens: 256, cachePath }) as const;

const SMALL_TOKENIZER = {
  version: '1.0',
  added_tokens: [{ id: 2, content: '</s>', special: true }],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: { type: 'BPE', vocab: { a: 0, b: 1, '</s>': 2 }, merges: [] },
};
