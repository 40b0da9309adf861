/** `cada init`: writes a configuration with every setting, its default and its meaning. */
import { copyFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { print } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import { shippedSchema } from '../packageRoot.ts';

export function addInitCommand(program: Command, context: CommandContext): void {
  program
    .command('init')
    .description('Writes a configuration with every setting, its default and its meaning as comments.')
    .argument('[file]', 'where to', 'cada.yaml')
    .option('--schema', 'also write the JSON Schema beside it, for editors')
    .option('--force', 'replace a file that is there')
    .action(async (file: string, options: { schema?: true; force?: true }) => {
      const { commentedConfiguration } = await import('../../infra/configuration/documentation.ts');
      const target = resolve(file);
      const beside = join(dirname(target), basename(shippedSchema()));
      const reference = options.schema ? `./${basename(beside)}` : relativeTo(dirname(target), shippedSchema());
      await writeNew(target, commentedConfiguration(runNameFor(target), reference), options.force, file);
      if (options.schema && resolve(shippedSchema()) !== beside) await copyFile(shippedSchema(), beside);
      print(context, `Wrote ${file}. To see what it would do: cada train ${file} --plan`);
    });
}

async function writeNew(target: string, text: string, force: true | undefined, asWritten: string): Promise<void> {
  try {
    await writeFile(target, text, { flag: force ? 'w' : 'wx' });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST')
      throw badInput(`${asWritten} is there already.`, 'Name another file, or replace it with --force.');
    if (code === 'EISDIR')
      throw badInput(`${asWritten} is a folder.`, `Name a file: ${asWritten.replace(/\/*$/, '/cada.yaml')}`);
    if (code === 'ENOENT')
      throw badInput(`There is no folder ${dirname(asWritten)}.`, 'Make it first, or name another file.');
    throw error;
  }
}

/** A run is named after its file, as far as names allow. */
function runNameFor(file: string): string {
  const name = basename(file)
    .replace(/\.ya?ml$/i, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, 40)
    .replace(/-+$/, '');
  return name === '' || name === 'cada' ? 'my-run' : name;
}

function relativeTo(folder: string, file: string): string {
  const path = relative(folder, file);
  return path.startsWith('.') ? path : `./${path}`;
}
