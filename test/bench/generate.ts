/**
 * Tokens a second of sampling for the shape of SmolLM2-135M (random weights, float32), on 2 threads.
 * Run alone on an otherwise idle machine: `node test/bench/generate.ts [threads]`. Time of prompts is included; the last column leaves it out.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSampler } from '../../engine/generate/sampler.ts';
import { sampleSequences } from '../../engine/generate/sampleSequences.ts';
import { openWeightFile } from '../../engine/model/weightFile.ts';
import type { SamplePrompt } from '../../engine/policy.ts';
import { mulberry32, SMOLLM2_CONFIG, writeRandomModel } from '../engine/generate/tinyModel.ts';

const CASES = [
  { name: '1 row, 64 + 64', rows: 1, prefix: 0, rest: 64, newTokens: 64 },
  { name: '8 rows, 64 + 64', rows: 8, prefix: 0, rest: 64, newTokens: 64 },
  { name: '32 rows, 64 + 64', rows: 32, prefix: 0, rest: 64, newTokens: 64 },
  { name: '8 rows, 450 + 64', rows: 8, prefix: 0, rest: 450, newTokens: 64 },
  { name: '8 rows, 400 shared + 50 + 64', rows: 8, prefix: 400, rest: 50, newTokens: 64 },
  { name: '32 rows, 800 shared + 50 + 64', rows: 32, prefix: 800, rest: 50, newTokens: 64 },
];
const REPEATS = 2;

const threads = Number(process.argv[2] ?? 2);
const only = process.argv[3];
const config = { ...SMOLLM2_CONFIG, layers: 30 };
const folder = mkdtempSync(join(tmpdir(), 'bench-generate-'));
try {
  await writeRandomModel(folder, config);
  const weightFile = await openWeightFile(config, folder, 'model.safetensors');
  const started = performance.now();
  const sampler = await openSampler(weightFile, undefined, { threads, device: 'cpu' });
  console.log(`session ready in ${Math.round(performance.now() - started)} ms, ${threads} threads`);
  console.log('tok/s'.padStart(7), 'decode only'.padStart(12), ' case');
  for (const { name, rows, prefix, rest, newTokens } of CASES) {
    if (only && !name.startsWith(only)) continue;
    let best = Infinity;
    let bestDecode = Infinity;
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      const prompts = randomPrompts(rows, prefix, rest, `${name} ${repeat}`);
      const begin = performance.now();
      let prefilled = begin;
      await sampleSequences(
        sampler,
        prompts,
        { temperature: 1, maxNewTokens: newTokens, stopTokens: [] },
        { decodeBatch: rows, prefillTokens: 2048 },
        ({ phase }) => {
          if (phase === 'prefill') prefilled = performance.now();
        },
      );
      const end = performance.now();
      best = Math.min(best, end - begin);
      bestDecode = Math.min(bestDecode, end - prefilled);
    }
    const rate = (1000 * rows * newTokens) / best;
    const decodeRate = (1000 * rows * (newTokens - 1)) / bestDecode;
    console.log(rate.toFixed(1).padStart(7), decodeRate.toFixed(1).padStart(12), ` ${name}`);
  }
  console.log(`peak memory ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
  await sampler.release();
} finally {
  rmSync(folder, { recursive: true });
}

function randomPrompts(rows: number, prefix: number, rest: number, seed: string): SamplePrompt[] {
  const random = mulberry32(rows);
  const tokens = (count: number) => Array.from({ length: count }, () => Math.floor(random() * config.vocabularySize));
  const shared = tokens(prefix);
  return Array.from({ length: rows }, (_, row) => ({
    id: `${row}`,
    tokens: [...shared, ...tokens(rest)],
    prefixLength: prefix,
    seeds: [`${seed}/${row}`],
  }));
}
