/** What `cada bench` measures: how fast this machine generates and trains with the configured model, and by operators where the time goes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sampleSequences } from '../../engine/generate/sampleSequences.ts';
import { openSampler } from '../../engine/generate/sampler.ts';
import { startEngine } from '../../engine/host/engineClient.ts';
import type { HostedEngine } from '../../engine/host/engineClient.ts';
import { createAdapter } from '../../engine/model/createAdapter.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import { openModel } from '../../engine/model/weights.ts';
import type {
  EngineSettings,
  GradientRequest,
  LoraSettings,
  PolicyWeights,
  SamplePrompt,
} from '../../engine/policy.ts';
import { matrixPeak } from '../../engine/session/matrixPeak.ts';
import { readProfile, summariseProfile } from '../../engine/session/profile.ts';
import type { Profile } from '../../engine/session/profile.ts';
import { nominalGflop } from '../../engine/train/nominalWork.ts';
import { Trainer } from '../../engine/train/trainer.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { checkModel, resolveModel } from '../../infra/modelSource/resolveModel.ts';
import { cadaCache, cadaHome } from '../../infra/paths.ts';

export interface SpeedFigures {
  model: string;
  threads: number;
  generation: { batch: number; promptTokens: number; newTokens: number; tokensPerSecond: number }[];
  training: {
    rows: number;
    length: number;
    tokensPerSecond: number;
    gflops: number;
    /** Of a large matrix product, the machine's practical limit. */
    peakGflops: number;
  };
  /** Of the engine's process. */
  peakMemoryBytes: number;
  profile?: { decode: Profile; training: Profile };
}

const repeats = 2;
/** Rows whose decoding is profiled. */
const profiledRows = 8;
const prefillTokens = 1024;

interface Subject {
  policy: PolicyWeights;
  settings: EngineSettings;
  lora: LoraSettings;
  vocabularySize: number;
  promptTokens: number;
  newTokens: number;
  trainingLength: number;
  scratch: string;
}

/** @param report what is being done, for somebody who waits */
export async function measureSpeed(request: {
  configuration: Configuration;
  profile: boolean;
  report: (line: string) => void;
}): Promise<SpeedFigures> {
  const { configuration, report } = request;
  const resolved = await resolveModel(configuration.model, { cachePath: cadaCache() });
  for (const note of resolved.notes) report(note);
  const { digest } = await checkModel(resolved.modelPath);
  const files = await openModel(resolved.modelPath);
  await files.close();
  const { vocabularySize, contextLength } = files.config;
  const scratch = await mkdtemp(join(tmpdir(), 'cada-bench-'));
  const subject: Subject = {
    policy: { modelPath: resolved.modelPath, modelDigest: digest },
    settings: { ...configuration.engine, cachePath: join(cadaHome(), 'local', 'engine') },
    lora: configuration.lora,
    vocabularySize,
    promptTokens: Math.min(64, Math.floor(contextLength / 4)),
    newTokens: Math.min(64, Math.floor(contextLength / 4)),
    trainingLength: Math.min(192, contextLength),
    scratch,
  };
  try {
    const figures = await measureFigures(subject, files.config, report);
    const profile = request.profile ? { profile: await measureProfile(subject, report) } : {};
    return { model: resolved.name, threads: subject.settings.threads, ...figures, ...profile };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function measureFigures(
  subject: Subject,
  config: Parameters<typeof nominalGflop>[0],
  report: (line: string) => void,
): Promise<Omit<SpeedFigures, 'model' | 'threads' | 'profile'>> {
  const { settings, policy, promptTokens, newTokens, trainingLength: length } = subject;
  const engine = startEngine(settings);
  try {
    const generation: SpeedFigures['generation'] = [];
    for (const batch of [1, 8, 32].filter((rows) => rows <= settings.decodeBatch)) {
      report(`generation, ${batch} ${batch === 1 ? 'sequence' : 'sequences'} at once`);
      const seconds = await best(() => generate(engine, subject, batch));
      generation.push({ batch, promptTokens, newTokens, tokensPerSecond: (batch * newTokens) / seconds });
    }
    report('training');
    const rows = Math.max(1, Math.floor(settings.microBatchTokens / length));
    const request = await trainingRequest(subject, rows);
    const seconds = await best(() => engine.gradients(request));
    const gflop = nominalGflop(config, subject.lora, { rows, length, completionTokens: rows * (length - 1) });
    const peakMemoryBytes = await engine.peakMemoryBytes();
    const peakGflops = await matrixPeak(settings.threads);
    const training = { rows, length, tokensPerSecond: (rows * length) / seconds, gflops: gflop / seconds, peakGflops };
    return { generation, training, peakMemoryBytes };
  } finally {
    await engine.close();
  }

  function generate(engine: HostedEngine, subject: Subject, batch: number): Promise<unknown> {
    return engine.sample({ policy, prompts: prompts(subject, batch), options: samplingOptions(newTokens) });
  }
}

/** In this process: the profile is written where a session is released. */
async function measureProfile(subject: Subject, report: (line: string) => void): Promise<SpeedFigures['profile']> {
  const { policy, settings, scratch, newTokens } = subject;
  report('profile of decoding');
  const weightFile = await convertedWeights(policy, settings.cachePath);
  const decodePrefix = join(scratch, 'decode');
  const sampler = await openSampler(weightFile, undefined, { ...settings, profilePrefix: decodePrefix });
  // One run computes all prompts, the others decode.
  const limits = {
    decodeBatch: profiledRows,
    prefillTokens: Math.max(prefillTokens, profiledRows * subject.promptTokens),
  };
  await sampleSequences(sampler, prompts(subject, profiledRows), samplingOptions(newTokens), limits);
  await sampler.release();
  const decode = summariseProfile(await readProfile(decodePrefix), 1);

  report('profile of training');
  const trainingPrefix = join(scratch, 'training');
  const trainer = new Trainer({ ...settings, profilePrefix: trainingPrefix });
  const rows = Math.max(1, Math.floor(settings.microBatchTokens / subject.trainingLength));
  const request = await trainingRequest(subject, rows);
  // The first run also allocates.
  await trainer.gradients(request);
  await trainer.gradients(request);
  await trainer.release();
  return { decode, training: summariseProfile(await readProfile(trainingPrefix), 1) };
}

/** Seconds of the fastest of some repeats, after a first one that loads and allocates. */
async function best(work: () => Promise<unknown>): Promise<number> {
  let seconds = Infinity;
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const started = performance.now();
    await work();
    if (repeat > 0) seconds = Math.min(seconds, (performance.now() - started) / 1000);
  }
  return seconds;
}

const samplingOptions = (maxNewTokens: number) => ({ temperature: 1, maxNewTokens, stopTokens: [] });

/** Different in every row: speed does not depend on what a text says, but equal beginnings could be shared. */
const tokensOf = (row: number, count: number, vocabularySize: number): number[] =>
  Array.from({ length: count }, (_, position) => ((row + 1) * 7919 + position * 104_729) % vocabularySize);

const prompts = ({ promptTokens, vocabularySize }: Subject, rows: number): SamplePrompt[] =>
  Array.from({ length: rows }, (_, row) => ({
    id: `${row}`,
    tokens: tokensOf(row, promptTokens, vocabularySize),
    prefixLength: 0,
    seeds: [`${row}`],
  }));

/** Loss at every token but the first, so that no setting of prompts is behind the figure. */
async function trainingRequest(subject: Subject, rows: number): Promise<GradientRequest> {
  const { policy, lora, scratch, trainingLength, vocabularySize } = subject;
  const adapterPath = join(scratch, 'adapter');
  await createAdapter({ model: policy, lora, seed: 'bench', outputPath: adapterPath, baseModelName: 'bench' });
  return {
    model: policy,
    adapterPath,
    sequences: Array.from({ length: rows }, (_, row) => {
      const [first, ...rest] = tokensOf(row, trainingLength, vocabularySize);
      return { id: `${row}`, promptTokens: [first!], completionTokens: rest, weight: 1 / (rows * rest.length) };
    }),
    objective: { name: 'sft' },
    outputPath: join(scratch, 'gradient.safetensors'),
  };
}
