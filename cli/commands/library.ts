/** `cada library import`: a library folder from a public dataset. */
import type { Command } from 'commander';
import { countOf } from '../counts.ts';
import { placesOf, print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { plainTable } from '../terminal.ts';

interface ImportFlags {
  out: string;
  classify: string;
  url?: string;
  model?: string;
  maxCalls?: number;
  perMinute?: number;
  rows: number;
  perHazard: number;
  seed: number;
  store?: string;
  json?: true;
}

export function addLibraryCommand(program: Command, context: CommandContext): void {
  const library = program.command('library').description('Libraries: codes, cases, requests and judges of a run.');
  library
    .command('import')
    .summary('make a library whose harmful requests come from a dataset')
    .description(
      'Makes a library folder for library.path: harmful requests from files of a public dataset that you have, everything else from the shipped library.\n' +
        'The dataset keeps its licence; nothing of it is fetched or shipped.',
    )
    .argument('<dataset>', 'beavertails')
    .argument('<files...>', 'its files: .jsonl, .jsonl.gz or .parquet')
    .requiredOption('--out <folder>', 'where the library is written; must not be there yet')
    .option('--classify <how>', "what tells hazards: native (the dataset's own categories) or endpoint", 'native')
    .option('--url <url>', 'with endpoint: its address (OpenAI-compatible); its key from CADA_CLASSIFIER_API_KEY')
    .option('--model <name>', 'with endpoint: its model')
    .option('--max-calls <n>', 'with endpoint: calls at most', countOf)
    .option('--per-minute <n>', 'with endpoint: calls a minute at most', countOf)
    .option('--rows <n>', 'harmful training requests of all hazards together', countOf, 500)
    .option('--per-hazard <n>', 'and of one hazard', countOf, 50)
    .option('--seed <n>', 'of the choice', countOf, 1234)
    .option('--store <address>', 'where replies of the endpoint are kept (default: CADA_STORE, else in CADA_HOME)')
    .option('--json', 'for scripts')
    .action(async (dataset: string, files: string[], flags: ImportFlags) => {
      if (dataset !== 'beavertails')
        throw badInput(`There is no importer of "${dataset}".`, 'Datasets that can be imported: beavertails.');
      const { importBeaverTails } = await import('../operate/importBeaverTails.ts');
      const { beaverTailsLicence } = await import('../operate/beaverTailsCard.ts');
      const { out, rows, perHazard, seed } = flags;
      const request = { files, out, rows, perHazard, seed, ...(await classifierOf(flags, context)) };
      remark(context, `BeaverTails is under ${beaverTailsLicence}`);
      const result = await importBeaverTails(request, (line) => remark(context, escapeForTerminal(line)));
      if (flags.json) return printJson(context, result);
      const counts = result.counts.map((one) => [
        one.hazard,
        ...[one.prompts, one.different, one.training].map(String),
      ]);
      print(context, plainTable(['hazard', 'prompts', 'different', 'training'], counts, [1, 2, 3]));
      const left = Object.entries(result.leftOut).map(([name, count]) => `${count} ${name}`);
      const short = result.training < rows ? `, ${rows - result.training} fewer than asked for` : '';
      print(
        context,
        escapeForTerminal(
          `\n${result.training} harmful training requests${short}; left out: ${left.join(', ')}\nLibrary: ${result.out} (library.path in a configuration)`,
        ),
      );
    });
}

async function classifierOf(
  { classify, url, model, maxCalls, perMinute, store }: ImportFlags,
  context: CommandContext,
) {
  if (classify.startsWith('guard')) {
    throw badInput(
      'A guard model can not tell the hazards of the library.',
      'Serve a model behind an OpenAI-compatible endpoint and use --classify endpoint, or --classify native.',
    );
  }
  if (classify === 'native') {
    if (url ?? model)
      throw badInput('--url and --model are of --classify endpoint.', 'Give that too, or leave them out.');
    return {};
  }
  if (classify !== 'endpoint')
    throw badInput(`Nothing classifies by "${classify}".`, '--classify is native or endpoint.');
  if (url === undefined || model === undefined)
    throw badInput('An endpoint needs its address and its model.', 'Give both --url and --model.');
  const { z } = await import('zod');
  const { endpointAddress } = await import('../../alignment/configuration/endpoint.ts');
  const { classifierKeyVariable } = await import('../operate/importBeaverTails.ts');
  const parsed = z.object(endpointAddress(classifierKeyVariable)).safeParse({ url, model });
  if (!parsed.success) throw badInput(`--url ${url}: ${parsed.error.issues[0]!.message}.`);
  const { openStore } = await import('../../infra/artifacts/artifactStore.ts');
  return {
    classifier: {
      ...parsed.data,
      ...(maxCalls === undefined ? {} : { maxCalls }),
      ...(perMinute === undefined ? {} : { requestsPerMinute: perMinute }),
    },
    store: await openStore(placesOf(context, store).storeUri),
  };
}
