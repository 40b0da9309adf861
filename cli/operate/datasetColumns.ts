/** The columns of a dataset's files, in their order. */
import type { Configuration } from '../../alignment/configuration/schema.ts';
import type { PreferenceRow, SftRow } from '../../alignment/dataset/datasetRows.ts';
import {
  booleanColumn,
  integerColumn,
  messagesColumn,
  numberColumn,
  numbersColumn,
  textColumn,
  type ParquetColumn,
} from '../../infra/parquet/parquetFile.ts';

/** @param configurations of the iterations: the parts of a reward are those of their weights. */
export function sftColumns(configurations: readonly Configuration[]): ParquetColumn[] {
  const columns: Record<keyof SftRow, (name: string) => ParquetColumn> = {
    prompt: messagesColumn,
    completion: messagesColumn,
    request_id: textColumn,
    sample: integerColumn,
    request: textColumn,
    kind: textColumn,
    category: textColumn,
    analysis: textColumn,
    response: textColumn,
    stage: textColumn,
    iteration: integerColumn,
    selected: booleanColumn,
    reward: orNull(numberColumn),
    reward_parts: (name) => numbersColumn(name, rewardParts(configurations)),
    verdict: orNull(textColumn),
    both_parts: booleanColumn,
    finish: textColumn,
    guidance: textColumn,
  };
  return named(columns);
}

const orNull = (column: (name: string, presence: 'OPTIONAL') => ParquetColumn) => (name: string) =>
  column(name, 'OPTIONAL');

const pairColumns: Record<keyof PreferenceRow, (name: string) => ParquetColumn> = {
  prompt: messagesColumn,
  chosen: messagesColumn,
  rejected: messagesColumn,
  request_id: textColumn,
  request: textColumn,
  kind: textColumn,
  category: textColumn,
  iteration: integerColumn,
  source: textColumn,
  chosen_sample: orNull(integerColumn),
  rejected_sample: orNull(integerColumn),
  chosen_reward: orNull(numberColumn),
  rejected_reward: orNull(numberColumn),
  chosen_right: booleanColumn,
  bad_belief: booleanColumn,
};

export const preferenceColumns: ParquetColumn[] = named(pairColumns);

function named(columns: Record<string, (name: string) => ParquetColumn>): ParquetColumn[] {
  return Object.entries(columns).map(([name, column]) => column(name));
}

function rewardParts(configurations: readonly Configuration[]): string[] {
  const names = configurations.flatMap(({ rewards: { own = [], ...weights } }) => [
    ...Object.keys(weights),
    ...own.map(({ name }) => `own/${name}`),
  ]);
  return [...new Set(names)];
}
