/** Reads a run configuration: YAML, checked against the one schema, with paths resolved. */
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, resolve } from 'node:path';
import { withEnvironmentJudge } from '../../alignment/configuration/environmentJudge.ts';
import { longestOwnCode } from '../../alignment/configuration/ownRewards.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { ConfigurationError } from './problems.ts';
import type { ConfigurationProblem } from './problems.ts';
import { explainIssues, keyOf } from './schemaProblems.ts';
import { parseYaml } from './yamlSource.ts';
import type { KeyPath } from './yamlSource.ts';

/**
 * Reads, checks and completes a run configuration. Paths in it (`model.source`, `guardModel.source` and `marks.of` where they are one, `library.path`) come back
 * absolute, resolved against the file's folder; modules that it names (`rewards.own`) come back as their text; `environmentJudge` comes back as the judge that `env` names, or not at all.
 *
 * @throws ConfigurationError with every problem of the file: syntax, unknown keys, wrong values, impossible combinations, paths that do not exist.
 */
export async function readConfiguration(file: string, env: NodeJS.ProcessEnv = process.env): Promise<Configuration> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigurationError([{ file, line: 1, column: 1, key: '', ...explainUnreadable(error) }]);
  }
  return parseConfiguration(text, file, env);
}

/** As `readConfiguration`, for text already in memory; `file` names it in messages and is where its paths start. */
export function parseConfiguration(text: string, file: string, env: NodeJS.ProcessEnv = process.env): Configuration {
  const source = parseYaml(text, file);
  if (source.value === undefined) throw new ConfigurationError(source.problems);

  const parsed = configurationSchema.safeParse(source.value);
  const problems = [...source.problems];
  if (!parsed.success) problems.push(...explainIssues(parsed.error.issues, source, file));
  if (!parsed.success || problems.length > 0) throw new ConfigurationError(problems);

  let configuration: Configuration;
  try {
    configuration = withEnvironmentJudge(parsed.data, env);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const key = 'environmentJudge';
    throw new ConfigurationError([{ file, ...source.positionOf([key]), key, message: error.message }]);
  }
  const missing: ConfigurationProblem[] = [];
  const resolvePath = (path: string, key: KeyPath, whatToDo: string): string => {
    const absolute = absolutePath(path, file);
    if (!existsSync(absolute)) {
      const place = { file, ...source.positionOf(key), key: keyOf(key) };
      missing.push({ ...place, message: `there is nothing at ${absolute}`, found: path, allowed: whatToDo });
    }
    return absolute;
  };
  const { model, library, guardModel } = configuration;
  if (isModelPath(model.source, file)) {
    const whatToDo = 'a folder in Hugging Face layout, a .gguf file, or a hub id such as `owner/name`';
    model.source = resolvePath(model.source, ['model', 'source'], whatToDo);
  }
  if (guardModel && isModelPath(guardModel.source, file)) {
    const whatToDo = 'a folder in Hugging Face layout, a .gguf file, or a hub id such as `owner/name`';
    guardModel.source = resolvePath(guardModel.source, ['guardModel', 'source'], whatToDo);
  }
  for (const [index, reward] of (configuration.rewards.own ?? []).entries()) {
    if (reward.code !== undefined) continue;
    const key = ['rewards', 'own', index, 'file'];
    const path = resolvePath(reward.file, key, 'a module of one file that exports a function (docs/rewards.md)');
    const code = existsSync(path) ? readModule(path) : { text: '' };
    if ('text' in code) reward.code = code.text;
    else missing.push({ file, ...source.positionOf(key), key: keyOf(key), found: reward.file, ...code });
  }
  if (library.path !== undefined) {
    const whatToDo = 'a folder with codes/, cases/, requests/ and judges/';
    library.path = resolvePath(library.path, ['library', 'path'], whatToDo);
  }
  for (const section of ['warmStart', 'iteration'] as const) {
    const { marks } = configuration[section];
    if (marks && marks.of.endsWith('.jsonl'))
      marks.of = resolvePath(marks.of, [section, 'marks', 'of'], 'a .jsonl file of marks, or the id of a run');
  }
  if (missing.length > 0) throw new ConfigurationError(missing);
  return configuration;
}

/** The text of a user's module: it becomes part of the configuration, so that a changed file is another run. */
function readModule(path: string): { text: string } | Pick<ConfigurationProblem, 'message' | 'allowed'> {
  const allowed = `a text file of at most ${longestOwnCode} characters`;
  try {
    const text = readFileSync(path, 'utf8');
    if (text.length <= longestOwnCode) return { text };
    return { message: `${path} has ${text.length} characters`, allowed };
  } catch (error) {
    return { message: `${path} can not be read: ${(error as Error).message}`, allowed };
  }
}

/** A hub id is `owner/name`; everything else, and whatever exists beside the file, is a path. */
function isModelPath(source: string, file: string): boolean {
  const looksLikeHubId = /^[\w][\w.-]*\/[\w.-]+$/.test(source) && !source.endsWith('.gguf');
  return !looksLikeHubId || existsSync(absolutePath(source, file));
}

function absolutePath(path: string, file: string): string {
  const expanded = path === '~' || path.startsWith('~/') ? homedir() + path.slice(1) : path;
  return isAbsolute(expanded) ? expanded : resolve(dirname(file), expanded);
}

function explainUnreadable(error: unknown): Pick<ConfigurationProblem, 'message' | 'allowed'> {
  const code = (error as NodeJS.ErrnoException).code;
  const allowed = 'a YAML file; `cada init` writes a commented one to start from';
  if (code === 'ENOENT') return { message: 'there is no such file', allowed };
  if (code === 'EISDIR') return { message: 'this is a folder, not a file', allowed };
  if (code === 'EACCES') return { message: 'the file may not be read', allowed: 'a file that this user may read' };
  return { message: `the file can not be read: ${(error as Error).message}`, allowed };
}
