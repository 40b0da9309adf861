import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { unitsOf } from '../../alignment/study/studySchema.ts';
import { configurationOf, readStudy, withheldBy } from '../../cli/operate/compareFile.ts';
import { readConfiguration } from '../../infra/configuration/readConfiguration.ts';

test.each([
  ['inference-arms', 10, 10],
  ['training-arms', 8, 20],
  ['paper-8b', 9, 9],
])('studies/%s.yaml is a study of %i arms and %i units, each with a valid configuration', async (name, arms, units) => {
  const read = await readStudy(resolve('studies', `${name}.yaml`));
  expect(read.study.arms).toHaveLength(arms);
  expect(unitsOf(read.study)).toHaveLength(units);
  for (const arm of read.study.arms) {
    const own = configurationOf(read, read.study.models[0]!, arm, 7);
    expect(own).toMatchObject({ name: `${name}-${arm.name}`.slice(0, 40), seed: 7 });
  }
});

test("a trained arm has its file's settings, with the seed and the model of the study", async () => {
  const read = await readStudy(resolve('studies/training-arms.yaml'));
  const arm = read.study.arms.find(({ name }) => name === 'dpo')!;
  const { name, seed, ...own } = configurationOf(read, 'Owner/model', arm, 2);
  const shipped = await readConfiguration(resolve('configurations/arms/dpo.yaml'));
  expect([name, seed]).toEqual(['training-arms-dpo', 2]);
  const { name: _name, seed: _seed, ...expected } = shipped;
  expect(own).toEqual({ ...expected, model: { ...expected.model, source: 'Owner/model' } });
});

test("the paper's study trains as the paper says, on CUDA alone", async () => {
  const read = await readStudy(resolve('studies/paper-8b.yaml'));
  const settings = (name: string) =>
    configurationOf(
      read,
      read.study.models[0]!,
      read.study.arms.find((arm) => arm.name === name),
      1234,
    );
  const tuned = settings('sft-cases');
  expect(tuned.engine).toMatchObject({ device: 'cuda' });
  expect(tuned.engine.allowFallback).toBeUndefined();
  expect(tuned.warmStart).toMatchObject({
    requests: { harmful: 500, plain: 0, lookAlike: 0 },
    ...{ epochs: 1, schedule: 'cosine', warmupRatio: 0.1, learningRate: 2e-6, temperature: 0 },
  });
  expect(tuned).toMatchObject({ trained: 'all', chain: { maxNewTokens: 4096 }, iteration: { count: 0 } });
  const { trained, lora, iteration } = settings('cada');
  expect([trained, lora.rank, lora.alpha]).toEqual([undefined, 32, 16]);
  expect(iteration).toMatchObject({ samplesPerRequest: 8, learningRate: 1e-5, klWeight: 0.04, temperature: 0.7 });
  expect(iteration.requests.harmful * iteration.samplesPerRequest).toBe(64);
});

test('settings of an arm replace those of the base, section by section', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'cada-study-')), 'study.yaml');
  const base = { iteration: { count: 5, learningRate: 0.01 }, lora: { targets: ['q_proj', 'v_proj'] } };
  const configuration = { iteration: { count: 2 }, lora: { targets: ['o_proj'] } };
  writeFileSync(file, stringify({ name: 's', suites: ['xstest'], base, arms: [{ name: 'a', configuration }] }));
  const read = await readStudy(file);
  const own = configurationOf(read, 'Owner/model', read.study.arms[0], 1);
  expect(own.iteration).toMatchObject({ count: 2, learningRate: 0.01 });
  expect(own.lora.targets).toEqual(['o_proj']);
  expect(configurationOf(read, 'Owner/model').iteration.count).toBe(5);
});

test('a file of an arm that is not there is named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cada-study-'));
  const file = join(folder, 'study.yaml');
  writeFileSync(file, stringify({ name: 's', suites: ['xstest'], arms: [{ name: 'a', configuration: 'gone.yaml' }] }));
  await expect(readStudy(file)).rejects.toThrow(`There is no file ${join(folder, 'gone.yaml')}`);
});

test('an arm takes marks by their digest alone: those of now would be others tomorrow', async () => {
  const read = await readStudy(join('studies', 'training-arms.yaml'));
  const marks = { of: 'demo', chains: 'ab'.repeat(32) };
  const arm = { ...read.study.arms[0]!, configuration: { warmStart: { marks } } };
  expect(configurationOf(read, 'Owner/model', arm, 1).warmStart.marks).toEqual(marks);
  const unsettled = { ...arm, configuration: { warmStart: { marks: { of: 'demo' } } } };
  expect(() => configurationOf(read, 'Owner/model', unsettled, 1)).toThrow('a study takes marks by their digest');
});

describe('hazards that a study withholds', () => {
  const studyWith = async (changes: object) => {
    const file = join(mkdtempSync(join(tmpdir(), 'cada-study-')), 'study.yaml');
    const arms = [
      { name: 'asked', inference: 'codes' },
      { name: 'a', configuration: { library: { withhold: ['hate'] } } },
      { name: 'b', configuration: {} },
    ];
    writeFileSync(file, stringify({ name: 's', suites: ['xstest'], arms, ...changes }));
    return readStudy(file);
  };
  const listsOf = (read: Awaited<ReturnType<typeof readStudy>>) =>
    [undefined, ...read.study.arms.slice(1)].map(
      (arm) => configurationOf(read, 'Owner/model', arm, 1).library.withhold,
    );

  test('are those of an arm, while the others keep theirs', async () => {
    const read = await studyWith({});
    expect(listsOf(read)).toEqual([undefined, ['hate'], undefined]);
    expect(withheldBy(read)).toEqual(['hate']);
  });

  test('or those of the study, for inference arms and for every trained arm that does not say otherwise', async () => {
    const read = await studyWith({
      withhold: ['hate', 'privacy'],
      arms: [
        { name: 'asked', inference: 'codes' },
        { name: 'all', configuration: { library: { withhold: [] } } },
        { name: 'b', configuration: {} },
      ],
    });
    expect(listsOf(read)).toEqual([['hate', 'privacy'], [], ['hate', 'privacy']]);
    expect(withheldBy(read)).toEqual(['hate', 'privacy']);
  });

  test('can not be different ones: seen and unseen would be of other questions', async () => {
    const read = await studyWith({ base: { library: { withhold: ['privacy'] } } });
    expect(() => withheldBy(read)).toThrow('arms withhold different hazards: privacy; hate');
  });
});
