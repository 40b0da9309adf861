/** `cada clean`: removes what runs have left. Shows first; removes only with `--yes`. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import prettyBytes from 'pretty-bytes';
import { artifactsFolder, cadaCache, runFolders } from '../../infra/paths.ts';
import { placesOf, print } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import { plainTable } from '../terminal.ts';

interface CleanOptions {
  all?: true;
  cache?: true;
  yes?: true;
}

export function addCleanCommand(program: Command, context: CommandContext): void {
  program
    .command('clean')
    .description(
      'Removes what runs have left on this machine: of the named runs their folder (server history, logs, written results), with --all everything in ' +
        'CADA_HOME with the artifacts, with --cache the downloads and compiled code. Shows what it would remove; removes only with --yes. An S3 store is never touched.',
    )
    .argument('[runs...]', 'run ids; their artifacts stay in the store, where other runs share them')
    .option('--all', 'all runs and the folder store of CADA_HOME')
    .option('--cache', 'downloads (models, the Temporal server) and compiled code')
    .option('--yes', 'remove, not only show')
    .action((runs: string[], options: CleanOptions) => clean(runs, options, context));
}

async function clean(runs: string[], options: CleanOptions, context: CommandContext): Promise<void> {
  if (runs.length === 0 && !options.all && !options.cache)
    throw badInput('Nothing is named to be removed.', 'Name runs (`cada runs`), or use --all or --cache.');
  const { home } = placesOf(context);
  const present = await readdir(join(home, 'runs')).catch((): string[] => []);
  const missing = runs.find((runId) => !present.includes(runId));
  if (missing !== undefined)
    throw badInput(
      `There is no run "${missing}" in ${home}.`,
      present.length > 0 ? `There are: ${present.join(', ')}.` : undefined,
    );

  const { hasLiveServer } = await import('../runs.ts');
  for (const runId of options.all ? present : runs) {
    if (await hasLiveServer(home, runId))
      throw badInput(`Run ${runId} is at work.`, 'Stop it first (Ctrl-C in its terminal), then clean.');
  }
  const paths = options.all
    ? [join(home, 'runs'), artifactsFolder(home)]
    : runs.map((runId) => runFolders(home, runId).root);
  if (options.cache) paths.push(cadaCache(context.env));

  const sizes = await Promise.all(paths.map(bytesBelow));
  print(
    context,
    plainTable(
      ['path', 'size'],
      paths.map((path, i) => [path, prettyBytes(sizes[i] ?? 0)]),
      [1],
    ),
  );
  if (!options.yes) return print(context, '\nNothing was removed. To remove it, repeat with --yes.');
  for (const path of paths) await rm(path, { recursive: true, force: true });
  print(context, '\nRemoved.');
}

async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map((file) =>
      stat(join(file.parentPath, file.name)).then(
        (found) => found.size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
