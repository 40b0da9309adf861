/** The README.md of an exported dataset: YAML front matter as the Hugging Face hub reads it, then what is in the files and what it came from. */
import { stringify } from 'yaml';
import { asksGuardModel, asksRubricJudge } from '../configuration/optionalRewards.ts';
import type { Configuration } from '../configuration/schema.ts';
import { placesInWords } from '../prompts/formatWords.ts';
import { escapeMarkdown, inlineCode } from '../report/markdown.ts';

export type DatasetConfig = 'sft' | 'preference';

export const datasetConfigs = ['sft', 'preference'] as const satisfies readonly DatasetConfig[];

/** Path of a config's rows in the folder. */
export const datasetFile = (config: DatasetConfig): string => `${config}/train.parquet`;

export interface DatasetFacts {
  runId: string;
  /** State of the run, and how many iterations the rows are of. */
  state: string;
  iterations: number;
  model: { baseModelName: string; origin: string; digest: string };
  configuration: Configuration;
  /** sha256 of what the chains were reasoned, asked and judged with. */
  digests: { configuration: string; codes: string; cases: string; requests: string; judgeRules: string };
  /** Rows by kind of their request, of each config that has any. */
  counts: Partial<Record<DatasetConfig, Record<string, number>>>;
  /** Rows of `sft` that were chosen; the others are there because all were asked for. */
  chosen: number;
}

export function datasetCard(facts: DatasetFacts): string {
  const { runId, model, configuration, digests, counts } = facts;
  const present = datasetConfigs.filter((config) => counts[config]);
  const front = {
    pretty_name: `Chains of ${runId}`,
    license: 'other',
    license_name: 'of-its-sources',
    license_details: licenceNote,
    task_categories: ['text-generation'],
    tags: ['safety', 'alignment', 'cada', ...(counts.sft ? ['trl'] : []), ...(counts.preference ? ['preference'] : [])],
    configs: present.map((config) => ({
      config_name: config,
      data_files: [{ split: 'train', path: datasetFile(config) }],
    })),
    cada: {
      run: runId,
      base_model: model.baseModelName,
      base_model_digest: model.digest,
      digests,
      kinds: counts,
      judges: judgesOf(configuration),
    },
  };
  return ['---', stringify(front).trimEnd(), '---', '', ...body(facts)].join('\n');
}

const licenceNote =
  'Completions are outputs of the base model, under its licence; requests are those of the run, under the licence of its library (the one that ships with CADA: Apache-2.0).';

function body({ runId, state, iterations, model, configuration, digests, counts, chosen }: DatasetFacts): string[] {
  const places = placesInWords(configuration.chain);
  const { warmStart, iteration } = configuration;
  return [
    `# Chains of ${escapeMarkdown(runId)}`,
    '',
    'Safety-reasoning chains that a language model has written about requests, harmful and harmless, with their rewards. Exported from a run of CADA,',
    `case-augmented deliberative alignment. A completion is the whole chain: an analysis ${escapeMarkdown(places.analysis)} and the answer ${escapeMarkdown(places.response)}.`,
    'Prompts are the raw requests, without codes and cases.',
    '',
    '**Some rows are harmful.** Requests of the kind `harmful` ask for harm, and rejected completions may give it. Chains were judged by machine; nobody has read them all.',
    '',
    '## Configs',
    '',
    '| config | rows | of requests of the kind |',
    '| --- | --- | --- |',
    ...datasetConfigs.flatMap((config) => (counts[config] ? [countRow(config, counts[config])] : [])),
    '',
    ...(counts.sft
      ? [
          `\`sft\` (\`prompt\`, \`completion\`): ${chosen} chains with \`selected\`: those that the warm start has kept, and those of iterations with a reward above 0 and the outcome that the request asks for.`,
          '',
        ]
      : []),
    ...(counts.preference
      ? [
          '`preference` (`prompt`, `chosen`, `rejected`): pairs of one request and iteration; `source` is `planned` where the run has trained on the pair, `reward` where it is the best chain against the worst. Without `chosen_right` both do what they should not, one in better form.',
          '',
        ]
      : []),
    '```python',
    'from datasets import load_dataset',
    '',
    ...datasetConfigs.flatMap((config) =>
      counts[config] ? [`${config} = load_dataset("path/of/this/folder", "${config}", split="train")`] : [],
    ),
    '```',
    '',
    '## What it came from',
    '',
    `* Run: ${inlineCode(runId)}, ${escapeMarkdown(state)}, iterations finished: ${iterations}; configuration ${inlineCode(digests.configuration)}.`,
    `* Base model: ${inlineCode(model.baseModelName)} (${escapeMarkdown(model.origin)}), files digest ${inlineCode(model.digest)}.`,
    `* Warm start: ${warmStart.enabled ? `chains by ${warmStart.source ?? 'the base model itself'}, target ${warmStart.target ?? 'chains'}` : 'none'}.`,
    `* Iterations: ${iteration.method ?? iteration.objective}, guidance ${iteration.guidance}.`,
    `* Judges: ${judgesOf(configuration).map(inlineCode).join(', ')}; rules ${inlineCode(digests.judgeRules)}.`,
    `* Codes ${inlineCode(digests.codes)}, cases ${inlineCode(digests.cases)}, requests ${inlineCode(digests.requests)}.`,
    '',
    '## Licence',
    '',
    licenceNote,
    '',
  ];
}

function countRow(config: DatasetConfig, kinds: Record<string, number>): string {
  const rows = Object.values(kinds).reduce((sum, count) => sum + count, 0);
  const ofKinds = Object.entries(kinds).map(([kind, count]) => `${kind} ${count}`);
  return `| \`${config}\` | ${rows} | ${ofKinds.join(', ')} |`;
}

/** Who has judged the chains, by the rewards that the configuration gives weight to. */
function judgesOf(configuration: Configuration): string[] {
  const { judge, guardModel, rewards } = configuration;
  return [
    'refusal rules',
    ...(asksRubricJudge(configuration) && judge ? [`rubric judge ${judge.model}`] : []),
    ...(asksGuardModel(configuration) && guardModel ? [`guard model ${nameOf(guardModel.source)}`] : []),
    ...(rewards.own ?? []).map(({ name }) => `own reward ${name}`),
  ];
}

/** Paths of this machine are nobody else's business. */
const nameOf = (source: string): string => (/^[/.~]|^[A-Za-z]:/.test(source) ? source.split(/[\\/]/).at(-1)! : source);
