/** How long a user waits for the first token. */
import { join } from 'node:path';
import type { HostedEngine } from '../../../engine/host/engineClient.ts';
import type { PolicyWeights } from '../../../engine/policy.ts';
import type { Bench } from '../bench.ts';
import type { Measurement } from '../figures.ts';
import { pseudoRandom, randomTokens } from '../randomTokens.ts';
import { lora } from './training.ts';

interface StartTimes {
  /** Seconds of each run. */
  start: number[];
  update: number[];
}

/** Seconds from no process to the first token of a prompt of 64; weights were converted before. */
export async function engineStart(bench: Bench): Promise<Measurement> {
  return { ours: (await startTimes(bench)).start };
}

/** Seconds from a new adapter to the first token, by an engine that ran another one of the same shape. */
export async function adapterUpdate(bench: Bench): Promise<Measurement> {
  return { ours: (await startTimes(bench)).update };
}

function startTimes(bench: Bench): Promise<StartTimes> {
  return bench.once('start', async () => {
    await bench.release();
    const adapters = await bench.withFreshEngine((engine) => makeAdapters(bench, engine, ['first', 'second']));
    const times: StartTimes = { start: [], update: [] };
    // The first time fills the cache, and does not count.
    for (let run = 0; run <= bench.runs; run++) {
      await bench.withFreshEngine(async (engine) => {
        const [start, update] = [
          await firstToken(bench, engine, { ...bench.model.weights, adapterPath: adapters[0]! }),
          await firstToken(bench, engine, { ...bench.model.weights, adapterPath: adapters[1]! }),
        ];
        if (run === 0) return;
        times.start.push(start);
        times.update.push(update);
      });
    }
    return times;
  });
}

async function makeAdapters(bench: Bench, engine: HostedEngine, names: string[]): Promise<string[]> {
  const paths: string[] = [];
  for (const seed of names) {
    const outputPath = join(bench.scratch, `adapter-${seed}`);
    await engine.createAdapter({ model: bench.model.weights, lora, seed, outputPath, baseModelName: 'bench' });
    paths.push(outputPath);
  }
  return paths;
}

async function firstToken(bench: Bench, engine: HostedEngine, policy: PolicyWeights): Promise<number> {
  const tokens = randomTokens(64, bench.model.config.vocabularySize, pseudoRandom(9));
  const started = performance.now();
  await engine.sample({
    policy,
    prompts: [{ id: 'prompt', tokens, prefixLength: 0, seeds: ['seed'] }],
    options: { temperature: 1, maxNewTokens: 1, stopTokens: [] },
  });
  return (performance.now() - started) / 1000;
}
