/** Reads a study's file: the study, and the run configuration of each of its trained arms. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import type { z } from 'zod';
import { withEnvironmentJudge } from '../../alignment/configuration/environmentJudge.ts';
import type { GuardModelSettings } from '../../alignment/configuration/guardModel.ts';
import type { LibrarySettings } from '../../alignment/configuration/library.ts';
import { configurationSchema, type Configuration } from '../../alignment/configuration/schema.ts';
import { overridden, studySchema, type Study, type StudyArm } from '../../alignment/study/studySchema.ts';
import { ConfigurationError } from '../../infra/configuration/problems.ts';
import { parseYaml, type YamlSource } from '../../infra/configuration/yamlSource.ts';
import { badInput } from '../errors.ts';

export interface ReadStudy {
  study: Study;
  /** Settings that every arm starts from, as written. */
  base: Record<string, unknown>;
  file: string;
}

/** @throws ConfigurationError with every problem of the file, at its place. */
export async function readStudy(file: string): Promise<ReadStudy> {
  const source = await readYaml(file);
  const parsed = studySchema.safeParse(source.value);
  if (!parsed.success) throw new ConfigurationError(parsed.error.issues.map((issue) => problemOf(issue, source, file)));
  const settingsOf = async (given: string | Record<string, unknown>): Promise<Record<string, unknown>> =>
    typeof given === 'string' ? readSettings(given, file) : given;
  const arms: StudyArm[] = [];
  for (const arm of parsed.data.arms) {
    // As settings they are part of what names the study.
    arms.push(arm.configuration ? { ...arm, configuration: await settingsOf(arm.configuration) } : arm);
  }
  return { study: { ...parsed.data, arms }, base: await settingsOf(parsed.data.base ?? {}), file };
}

/** What a model is to be computed by: of a trained arm, or (without `arm`) of the untouched model. */
export function configurationOf(
  { study, base, file }: ReadStudy,
  model: string,
  arm?: StudyArm,
  seed?: number,
): Configuration {
  const changes = typeof arm?.configuration === 'object' ? arm.configuration : {};
  const withheld = study.withhold ? { library: { withhold: study.withhold } } : {};
  const merged = overridden(overridden(base, withheld), changes);
  const own = {
    name: `${study.name}-${arm?.name ?? 'base'}`.slice(0, 40).replace(/-+$/, ''),
    seed: seed ?? study.questionSeed,
    model: { ...(merged['model'] as object | undefined), source: modelSource(model, file) },
  };
  const parsed = configurationSchema.safeParse({ ...merged, ...own });
  const where = arm ? `the configuration of arm "${arm.name}"` : 'base';
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw badInput(
      `${file}, ${where}: ${issue!.path.join('.')}: ${issue!.message}.`,
      'docs/configuration.md lists the settings.',
    );
  }
  for (const section of ['warmStart', 'iteration'] as const) {
    // A study is named by its settings: marks that are made while it is at work must not be another study.
    const { marks } = parsed.data[section];
    if (marks && marks.chains === undefined)
      throw badInput(
        `${file}, ${where}: ${section}.marks: a study takes marks by their digest.`,
        'Write marks.chains beside marks.of: `cada plan` of the configuration tells it.',
      );
  }
  const configuration = judgedBy(parsed.data, arm, file);
  const { library } = configuration;
  if (library.path !== undefined) library.path = besideFile(library.path, file);
  return configuration;
}

/** The guard model of a study, with the path of its model as this machine knows it. */
export function guardOf({ study: { guard }, file }: ReadStudy): GuardModelSettings | undefined {
  return guard && { ...guard, source: modelSource(guard.source, file) };
}

/**
 * The hazards that a study withholds: from every arm, or from those that say so.
 * @throws CliError where arms withhold different ones: what is seen and unseen would not be the same questions.
 */
export function withheldBy(read: ReadStudy): string[] {
  const { study, file } = read;
  const named = [study.withhold ?? [], ...librariesOf(read).map(({ withhold }) => withhold ?? [])];
  const lists = new Map(named.filter((list) => list.length > 0).map((list) => [JSON.stringify(list.toSorted()), list]));
  if (lists.size > 1)
    throw badInput(
      `${file}: arms withhold different hazards: ${[...lists.values()].map((list) => list.join(', ')).join('; ')}.`,
      'Write one list, as `withhold` of the study or library.withhold of its arms; an arm with `withhold: []` keeps all.',
    );
  return lists.values().next().value ?? [];
}

/** Of the untouched model, then of each trained arm: neither model nor seed changes them. */
export function librariesOf(read: ReadStudy): LibrarySettings[] {
  const [model, seed] = [read.study.models[0]!, read.study.seeds[0]!];
  const trained = read.study.arms.filter(({ configuration }) => configuration !== undefined);
  return [configurationOf(read, model), ...trained.map((arm) => configurationOf(read, model, arm, seed))].map(
    ({ library }) => library,
  );
}

function judgedBy(configuration: Configuration, arm: StudyArm | undefined, file: string): Configuration {
  try {
    return withEnvironmentJudge(configuration, process.env);
  } catch (error) {
    throw badInput(`${file}, ${arm ? `arm "${arm.name}"` : 'base'}: ${(error as Error).message}.`);
  }
}

/** What a run configuration sets, without name and seed, which are the study's; so is the model, whatever it says. */
async function readSettings(path: string, file: string): Promise<Record<string, unknown>> {
  const baseFile = besideFile(path, file);
  const { value } = await readYaml(baseFile);
  const { name: _name, seed: _seed, ...settings } = value as Record<string, unknown>;
  const library = settings['library'] as { path?: unknown } | undefined;
  if (typeof library?.path !== 'string') return settings;
  return { ...settings, library: { ...library, path: besideFile(library.path, baseFile) } };
}

async function readYaml(file: string): Promise<YamlSource> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw badInput(
      gone ? `There is no file ${file}.` : `${file} can not be read: ${(error as Error).message}.`,
      'studies/ holds examples; docs/studies.md describes them.',
    );
  }
  const source = parseYaml(text, file);
  if (source.problems.length > 0) throw new ConfigurationError(source.problems);
  return source;
}

function problemOf(issue: z.core.$ZodIssue, source: YamlSource, file: string) {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const place = unknown === undefined ? source.positionOf(path) : source.positionOfKey([...path, unknown]);
  return {
    file,
    ...place,
    key: [...path, ...(unknown === undefined ? [] : [unknown])].join('.'),
    message: messageOf(issue),
  };
}

/** Of a value that may be of several kinds: what is wrong with the kind that came nearest. */
function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return 'there is no such setting';
  const inner =
    issue.code === 'invalid_union' ? issue.errors.flat().find(({ code }) => code !== 'invalid_type') : undefined;
  return inner ? messageOf(inner) : issue.message;
}

function modelSource(model: string, file: string): string {
  const path = besideFile(model, file);
  if (existsSync(path)) return path;
  if (/^[\w][\w.-]*\/[\w.-]+$/.test(model) && !model.endsWith('.gguf')) return model;
  throw badInput(
    `${file}, models: there is nothing at ${path}.`,
    'Write a folder in Hugging Face layout, a .gguf file, or a hub id such as owner/name.',
  );
}

const besideFile = (path: string, file: string): string => (isAbsolute(path) ? path : resolve(dirname(file), path));
