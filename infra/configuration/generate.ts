/** Writes the files that are generated from the schema: `node infra/configuration/generate.ts`. A test fails where they are out of date. */
import { readFile, writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import { configurationPage } from './documentation.ts';
import { jsonSchema } from './jsonSchema.ts';

/** Each generated file (by its path in the repository) and its contents, formatted as the repository's files are. */
export async function generatedFiles(): Promise<Map<string, string>> {
  const files = new Map([
    ['configurations/cada.schema.json', JSON.stringify(jsonSchema(), null, 2)],
    ['docs/configuration.md', configurationPage()],
  ]);
  const root = new URL('../../', import.meta.url);
  const options = await resolveConfig(new URL('package.json', root));
  for (const [path, text] of files) files.set(path, await format(text, { ...options, filepath: path }));
  return files;
}

if (import.meta.main) {
  const root = new URL('../../', import.meta.url);
  for (const [path, text] of await generatedFiles()) {
    const file = new URL(path, root);
    const before = await readFile(file, 'utf8').catch(() => '');
    if (before !== text) await writeFile(file, text);
    console.log(`${path}: ${before === text ? 'up to date' : 'written'}`);
  }
}
