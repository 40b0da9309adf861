/** Holds training requests, cases and files of one's own against benchmarks: of a run's configuration, of a study, or named. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import {
  contaminationTable,
  librarySources,
  type Contamination,
  type TextSource,
} from '../../alignment/benchmarks/contamination.ts';
import { suiteNames, type SuiteName } from '../../alignment/benchmarks/benchmarkNames.ts';
import { trainingTexts } from '../../alignment/benchmarks/trainingTexts.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { readConfiguration } from '../../infra/configuration/readConfiguration.ts';
import { parseYaml } from '../../infra/configuration/yamlSource.ts';
import { badInput } from '../errors.ts';
import { hasSuite, type BenchmarkPlaces } from './benchmarkFiles.ts';
import { configurationOf, readStudy } from './compareFile.ts';
import { benchmarkTexts } from './decontaminatedLibrary.ts';
import { readRunLibrary } from './libraryFiles.ts';

export interface ContaminationRequest {
  /** A run's configuration, or a study. */
  file: string;
  /** Benchmarks besides those that the file names. */
  suites: readonly SuiteName[];
  /** Training files besides the library. */
  trainingFiles: readonly string[];
  places: BenchmarkPlaces;
}

/** What `cada contamination --json` prints; docs/evaluation.md describes it. */
export interface ContaminationReport {
  rows: Contamination[];
  /** Benchmarks that nothing was compared with, because their files are not on this machine. */
  missing: SuiteName[];
}

/** @throws CliError, ConfigurationError */
export async function findContamination(
  request: ContaminationRequest,
  note: (line: string) => void,
): Promise<ContaminationReport> {
  const { libraries, suites: named } = await whatFileNames(request.file);
  const sources = await librariesOf(libraries, request.places);
  for (const path of request.trainingFiles) sources.push(await fileSource(path));
  const wanted = [...new Set([...named, ...request.suites])];
  // Where nothing is named: all that can be compared with as it is, and nothing fetched.
  const suites = wanted.length > 0 ? wanted : suiteNames.filter((suite) => hasSuite(suite, request.places));
  const missing = wanted.length > 0 ? [] : suiteNames.filter((suite) => !suites.includes(suite));
  return { rows: contaminationTable(sources, await benchmarkTexts(suites, { places: request.places, note })), missing };
}

/** Each library once; where there are several, their sources are told apart by the folder. */
async function librariesOf(
  libraries: readonly Configuration['library'][],
  places: BenchmarkPlaces,
): Promise<TextSource[]> {
  const different = [...new Map(libraries.map((one) => [canonicalJson(one), one])).values()];
  const sources: TextSource[] = [];
  for (const library of different) {
    const { path, domain, withhold = [], decontaminate } = library;
    const without =
      (withhold.length > 0 ? ` without ${withhold.join(', ')}` : '') + (decontaminate ? ', decontaminated' : '');
    const named =
      different.length > 1 ? ` (${path === undefined ? (domain ?? 'shipped library') : basename(path)}${without})` : '';
    for (const source of librarySources(parseLibrary(await readRunLibrary(library, { places }))))
      sources.push({ ...source, name: source.name + named });
  }
  return sources;
}

async function whatFileNames(file: string): Promise<{ libraries: Configuration['library'][]; suites: SuiteName[] }> {
  const of = ({ library, evaluation }: Configuration) => ({ library, benchmarks: evaluation.benchmarks });
  if (!(await isStudy(file))) {
    const { library, benchmarks } = of(await readConfiguration(file));
    return { libraries: [library], suites: benchmarks };
  }
  const read = await readStudy(file);
  const { study } = read;
  const configurations = [
    configurationOf(read, study.models[0]!),
    ...study.arms.flatMap((arm) =>
      arm.configuration === undefined ? [] : [configurationOf(read, study.models[0]!, arm, study.seeds[0]!)],
    ),
  ].map(of);
  return {
    libraries: configurations.map(({ library }) => library),
    suites: [...study.suites.map(({ suite }) => suite), ...configurations.flatMap(({ benchmarks }) => benchmarks)],
  };
}

/** A study has arms and suites, a configuration neither. */
async function isStudy(file: string): Promise<boolean> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw badInput(`${file} cannot be read: ${(error as Error).message}`, 'Give a configuration or a study.');
  });
  const { value } = parseYaml(text, file);
  return typeof value === 'object' && value !== null && 'arms' in value && 'suites' in value;
}

async function fileSource(path: string): Promise<TextSource> {
  try {
    return { name: basename(path), use: 'trained on', texts: trainingTexts(path, await readFile(path, 'utf8')) };
  } catch (error) {
    throw badInput(`${path}: ${(error as Error).message}`, 'Give JSON Lines, a JSON list, CSV or TSV with a header.');
  }
}
