/** The guard model that a command names: a model alone, or a YAML file with the settings of `guardModel`. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { guardModelSchema, type GuardModelSettings } from '../../alignment/configuration/guardModel.ts';
import { parseYaml } from '../../infra/configuration/yamlSource.ts';
import { badInput } from '../errors.ts';

/**
 * @param named hub id, model folder, `.gguf` file, or a `.yaml` file; paths in the file are relative to it
 * @throws CliError naming what is wrong with the file.
 */
export async function readGuardSettings(named: string): Promise<GuardModelSettings> {
  if (!/\.ya?ml$/.test(named)) return { source: await absoluteIfThere(named, '.') };
  const text = await readFile(named, 'utf8').catch((error: Error) => {
    throw badInput(`${named} cannot be read: ${error.message}`, 'Name a file with the settings of a guard model.');
  });
  const source = parseYaml(text, named);
  const [problem] = source.problems;
  if (problem) throw badInput(`${named}:${problem.line}: ${problem.message}.`, 'Correct the file.');
  const parsed = guardModelSchema.safeParse(source.value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const key = issue!.path.length === 0 ? '' : `${issue!.path.join('.')}: `;
    throw badInput(
      `${named}: ${key}${issue!.message}.`,
      'It holds the settings of `guardModel` (docs/configuration.md), of which `source` alone is required.',
    );
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
