import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { datasetCard, type DatasetFacts } from '../../../alignment/dataset/datasetCard.ts';

const facts: DatasetFacts = {
  runId: 'demo-1234',
  state: 'done',
  iterations: 3,
  model: { baseModelName: 'HuggingFaceTB/SmolLM2-135M-Instruct', origin: 'hub', digest: 'd0' },
  configuration: configurationSchema.parse({ name: 'demo' }),
  digests: { configuration: 'c1', codes: 'c2', cases: 'c3', requests: 'c4', judgeRules: 'c5' },
  counts: { sft: { harmful: 5, plain: 2 }, preference: { harmful: 1 } },
  chosen: 7,
};

function frontMatter(card: string) {
  const [, front] = /^---\n([\s\S]*?)\n---\n/.exec(card)!;
  return parse(front!) as { configs: object[]; cada: Record<string, unknown>; license: string };
}

test('the front matter names configs, counts, base model, run, digests and judges', () => {
  const { configs, cada, license } = frontMatter(datasetCard(facts));
  expect(license).toBe('other');
  expect(configs).toEqual([
    { config_name: 'sft', data_files: [{ split: 'train', path: 'sft/train.parquet' }] },
    { config_name: 'preference', data_files: [{ split: 'train', path: 'preference/train.parquet' }] },
  ]);
  expect(cada).toEqual({
    run: 'demo-1234',
    base_model: 'HuggingFaceTB/SmolLM2-135M-Instruct',
    base_model_digest: 'd0',
    digests: facts.digests,
    kinds: facts.counts,
    judges: ['refusal rules'],
  });
});

test('the text counts rows by kind and warns of harmful ones', () => {
  const card = datasetCard(facts);
  expect(card).toContain('| `sft` | 7 | harmful 5, plain 2 |');
  expect(card).toContain('| `preference` | 1 | harmful 1 |');
  expect(card).toContain('**Some rows are harmful.**');
  expect(card).toContain('## Licence');
});

test('a config without rows is not named', () => {
  const card = datasetCard({ ...facts, counts: { sft: { plain: 1 } } });
  expect(frontMatter(card).configs).toHaveLength(1);
  expect(card).not.toContain('preference');
});

test('further judges are named, a guard model without the folders that it lies in', () => {
  const configuration = configurationSchema.parse({
    name: 'judged',
    rewards: { graded: 1, guard: 1, own: [{ name: 'short', weight: 1, file: '/secret/short.js' }] },
    judge: { url: 'https://judge.example/v1', model: 'large' },
    guardModel: { source: '/home/me/models/guard' },
  });
  const card = datasetCard({ ...facts, configuration });
  expect(frontMatter(card).cada['judges']).toEqual([
    'refusal rules',
    'rubric judge large',
    'guard model guard',
    'own reward short',
  ]);
  expect(card).not.toMatch(/secret|home|judge\.example/);
});

test('names of others stay text, in Markdown and in YAML', () => {
  const baseModelName = 'evil`<img src=x>\n---\nlicense: mit | [x](javascript:1)';
  const card = datasetCard({ ...facts, model: { ...facts.model, baseModelName, origin: '<b>|hub' } });
  expect(frontMatter(card)).toMatchObject({ license: 'other', cada: { base_model: baseModelName } });
  const text = card.slice(card.indexOf('## What it came from'));
  expect(text).toContain("`evil'<img src=x> --- license: mit | [x](javascript:1)`");
  expect(text).toContain('\\<b\\>\\|hub');
});
