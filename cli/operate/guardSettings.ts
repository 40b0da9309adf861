/** The guard model that a command names: a model alone, or a YAML file with its settings. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { guardModelSchema, type GuardModelSettings } from '../../alignment/configuration/guardModel.ts';
import {
  guardClassifierSchema,
  type GuardClassifierSettings,
} from '../../alignment/library/beaverTails/guardClassifier.ts';
import { parseYaml } from '../../infra/configuration/yamlSource.ts';
import { badInput } from '../errors.ts';

/**
 * @param named hub id, model folder, `.gguf` file, or a `.yaml` file; paths in the file are relative to it
 * @throws CliError naming what is wrong with the file.
 */
export const readGuardSettings = (named: string): Promise<GuardModelSettings> =>
  readSettings(named, guardModelSchema, 'It holds the settings of `guardModel` (docs/configuration.md)');

/** The same for a guard model that tells hazards. */
export const readGuardClassifierSettings = (named: string): Promise<GuardClassifierSettings> =>
  readSettings(
    named,
    guardClassifierSchema,
    'It holds the settings of a guard model that tells hazards (docs/library.md)',
  );

async function readSettings<Settings extends { source: string }>(
  named: string,
  schema: z.ZodType<Settings>,
  holds: string,
): Promise<Settings | { source: string }> {
  if (!/\.ya?ml$/.test(named)) return { source: await absoluteIfThere(named, '.') };
  const text = await readFile(named, 'utf8').catch((error: Error) => {
    throw badInput(`${named} cannot be read: ${error.message}`, 'Name a file with the settings of a guard model.');
  });
  const source = parseYaml(text, named);
  const [problem] = source.problems;
  if (problem) throw badInput(`${named}:${problem.line}: ${problem.message}.`, 'Correct the file.');
  const parsed = schema.safeParse(source.value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const key = issue!.path.length === 0 ? '' : `${issue!.path.join('.')}: `;
    throw badInput(`${named}: ${key}${issue!.message}.`, `${holds}, of which \`source\` alone is required.`);
  }
  return { ...parsed.data, source: await absoluteIfThere(parsed.data.source, dirname(named)) };
}

/** What exists is a path, everything else a hub id. */
async function absoluteIfThere(source: string, folder: string): Promise<string> {
  const path = resolve(folder, source);
  return stat(path).then(
    () => path,
    () => source,
  );
}
