import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sampleSequences } from '../../engine/generate/sampleSequences.ts';
import { openSampler } from '../../engine/generate/sampler.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import type { WeightFile } from '../../engine/model/weightFile.ts';
import type { Device, SamplingOptions } from '../../engine/policy.ts';
import { TINY_CONFIG, writeRandomModel } from '../engine/generate/tinyModel.ts';
import { testDevice } from './testDevice.ts';

let folder: string;
let weightFile: WeightFile;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sampling-'));
  const modelPath = await writeRandomModel(join(folder, 'model'), TINY_CONFIG);
  weightFile = await convertedWeights({ modelPath, modelDigest: 'tiny' }, join(folder, 'cache'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const prompts = [
  { id: 'with a shared prefix', tokens: [1, 2, 3, 4, 5], prefixLength: 3, seeds: ['s', 't'] },
  { id: 'without', tokens: [7, 8], prefixLength: 0, seeds: ['u'] },
];
const modes: Pick<SamplingOptions, 'temperature' | 'topK'>[] = [
  { temperature: 1 },
  { temperature: 0 },
  { temperature: 0.7, topK: 5 },
];

async function samplesOn(device: Device) {
  const sampler = await openSampler(weightFile, undefined, { threads: 1, device });
  const samples = [];
  for (const mode of modes) {
    const options = { ...mode, maxNewTokens: 5, stopTokens: [] };
    samples.push(
      ...(await sampleSequences(sampler, prompts, options, { decodeBatch: 2, prefillTokens: 64 }, () => {})),
    );
  }
  await sampler.release();
  return samples;
}

it(`on ${testDevice} the tokens of a small model are those of the CPU, their log-probabilities to 1e-4`, async () => {
  const [expected, actual] = [await samplesOn('cpu'), await samplesOn(testDevice)];
  expect(actual.length).toBe(9);
  expect(actual.map(({ tokens }) => tokens)).toEqual(expected.map(({ tokens }) => tokens));
  actual.forEach(({ logProbs }, i) =>
    logProbs.forEach((logProb, token) => expect(Math.abs(logProb - expected[i]!.logProbs[token]!)).toBeLessThan(1e-4)),
  );
});
