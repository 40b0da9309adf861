/** Writes a run's chains as a dataset: a folder with Parquet files and a card, whole or not at all. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { readJson, readLibrary } from '../../activities/inputs.ts';
import type { ModelManifest } from '../../activities/plans.ts';
import {
  datasetCard,
  datasetConfigs,
  datasetFile,
  type DatasetConfig,
  type DatasetFacts,
} from '../../alignment/dataset/datasetCard.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { requestKinds } from '../../alignment/library/library.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { sha256, sha256OfFile } from '../../infra/artifacts/digest.ts';
import { writeParquet } from '../../infra/parquet/parquetFile.ts';
import { badInput } from '../errors.ts';
import { findRun } from '../runs.ts';
import { preferenceColumns, sftColumns } from './datasetColumns.ts';
import { configurationOf, hasChains, preferenceRows, sftRows, type DatasetSource } from './datasetChains.ts';
import { requireFree, writeWhole } from './newFolder.ts';
import { lineOf } from './resuming.ts';

export interface DatasetRequest {
  storeUri: string;
  /** Id of the run, or its beginning; absent = the latest. */
  run: string | undefined;
  /** Folder to be made; an empty one may be there. */
  out: string;
  /** Absent = both. */
  only?: DatasetConfig;
  /** Also chains that were not chosen. */
  all: boolean;
  signal: AbortSignal;
}

export interface ExportedDataset {
  runId: string;
  folder: string;
  configs: Partial<
    Record<DatasetConfig, { rows: number; kinds: Record<string, number>; file: string; sha256: string }>
  >;
  /** Rows of `sft` that were chosen. */
  chosen: number;
}

/** @throws CliError for a run without chains, or a folder that holds something. */
export async function exportDataset(request: DatasetRequest): Promise<ExportedDataset> {
  const folder = resolve(request.out);
  await requireFree(folder);
  const { store, runId, record } = await findRun(request.storeUri, request.run);
  const source: DatasetSource = { store, record, line: await lineOf(store, record) };
  if (!source.line.some(hasChains))
    throw badInput(
      `Run ${runId} has no chains yet: it is at stage "${record.stage}".`,
      'Wait until its warm start or its first iteration has ended (`cada status`).',
    );

  return writeWhole(folder, async (begun) => {
    const written = await writeConfigs(begun, source, request);
    if (Object.keys(written.configs).length === 0) throw nothingToWrite(runId, request);
    await writeFile(join(begun, 'README.md'), datasetCard(await factsOf(source, written)));
    request.signal.throwIfAborted();
    return { runId, folder, ...written };
  });
}

type Written = Pick<ExportedDataset, 'configs' | 'chosen'>;

async function writeConfigs(folder: string, source: DatasetSource, request: DatasetRequest): Promise<Written> {
  const written: Written = { configs: {}, chosen: 0 };
  // One after the other: most are the same one, which is read once.
  const configurations: Configuration[] = [];
  for (const one of source.line) configurations.push(await configurationOf(source, one));
  for (const config of datasetConfigs) {
    if (request.only !== undefined && request.only !== config) continue;
    const file = join(folder, datasetFile(config));
    await mkdir(dirname(file), { recursive: true });
    const seen: Record<string, number> = {};
    async function* counted(): AsyncGenerator<Record<string, unknown>> {
      for await (const row of config === 'sft' ? sftRows(source, request) : preferenceRows(source)) {
        request.signal.throwIfAborted();
        seen[row.kind] = (seen[row.kind] ?? 0) + 1;
        if ('stage' in row && row.selected) written.chosen += 1;
        yield row;
      }
    }
    const rows = await writeParquet(file, config === 'sft' ? sftColumns(configurations) : preferenceColumns, counted());
    const kinds = Object.fromEntries(requestKinds.flatMap((kind) => (seen[kind] ? [[kind, seen[kind]]] : [])));
    if (rows === 0) await rm(dirname(file), { recursive: true });
    else
      written.configs[config] = { rows, kinds, file: datasetFile(config), sha256: (await sha256OfFile(file)).sha256 };
  }
  return written;
}

async function factsOf({ store, record, line }: DatasetSource, { configs, chosen }: Written): Promise<DatasetFacts> {
  const { codes, cases, requests, judges } = await readLibrary(store, record);
  const digest = (value: unknown): string => sha256(canonicalJson(value));
  return {
    ...{ runId: record.runId, state: record.state, chosen },
    iterations: line.filter(({ iteration }) => iteration > 0).length,
    model: await readJson<ModelManifest>(store, line.at(-1)!.policy.model),
    configuration: await readJson(store, record.configuration),
    digests: {
      configuration: record.configuration.sha256,
      ...{ codes: digest(codes), cases: digest(cases), requests: digest(requests.training) },
      judgeRules: digest(judges.refusal),
    },
    counts: Object.fromEntries(Object.entries(configs).map(([config, { kinds }]) => [config, kinds])),
  };
}

const nothingToWrite = (runId: string, { only, all }: DatasetRequest) =>
  only === 'preference'
    ? badInput(
        `Run ${runId} has no pairs: no request of its iterations has a better and a worse chain.`,
        'The warm start compares nothing; --only sft writes its chains.',
      )
    : badInput(
        `No chain of run ${runId} was chosen: none was kept by the warm start, or rewarded for the right outcome in an iteration.`,
        all ? '`cada chains` shows them.' : '--include all writes the others too.',
      );
