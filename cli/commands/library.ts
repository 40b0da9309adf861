/** `cada library import`: a library folder from a public dataset. */
import type { Command } from 'commander';
import type { SuiteName } from '../../alignment/benchmarks/benchmarkNames.ts';
import { countOf } from '../counts.ts';
import { placesOf, print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import type { OpenHazardClassifier } from '../operate/hazardClassifier.ts';
import { cadaCache } from '../../infra/paths.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { plainTable } from '../terminal.ts';
import { suitesOf } from './evaluate.ts';

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
  decontaminate?: SuiteName[];
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
    .option(
      '--classify <how>',
      "what tells hazards: native (the dataset's own categories), endpoint, or guard:MODEL (folder, .gguf file, hub id, or a .yaml file; run here)",
      'native',
    )
    .option('--url <url>', 'with endpoint: its address (OpenAI-compatible); its key from CADA_CLASSIFIER_API_KEY')
    .option('--model <name>', 'with endpoint: its model')
    .option('--max-calls <n>', 'with endpoint: calls at most', countOf)
    .option('--per-minute <n>', 'with endpoint: calls a minute at most', countOf)
    .option('--rows <n>', 'harmful training requests of all hazards together', countOf, 500)
    .option('--per-hazard <n>', 'and of one hazard', countOf, 50)
    .option('--seed <n>', 'of the choice', countOf, 1234)
    .option(
      '--decontaminate <names>',
      'leave out prompts that repeat a question of these benchmarks (as of `cada evaluate`), exactly, nearly or in part',
      suitesOf,
    )
    .option('--store <address>', 'where answers of the model are kept (default: CADA_STORE, else in CADA_HOME)')
    .option('--json', 'for scripts')
    .action(async (dataset: string, files: string[], flags: ImportFlags) => {
      if (dataset !== 'beavertails')
        throw badInput(`There is no importer of "${dataset}".`, 'Datasets that can be imported: beavertails.');
      const { importBeaverTails } = await import('../operate/importBeaverTails.ts');
      const { beaverTailsLicence } = await import('../operate/beaverTailsCard.ts');
      const { out, rows, perHazard, seed, decontaminate } = flags;
      const request = {
        ...{ files, out, rows, perHazard, seed, ...(await classifierOf(flags, context)) },
        ...(decontaminate ? { decontaminate } : {}),
      };
      remark(context, `BeaverTails is under ${beaverTailsLicence}`);
      const result = await importBeaverTails(request, (line) => remark(context, escapeForTerminal(line)));
      if (flags.json) return printJson(context, result);
      const counts = result.counts.map((one) => [
        one.hazard,
        ...[one.prompts, one.different, one.training].map(String),
      ]);
      print(context, plainTable(['hazard', 'prompts', 'different', 'training'], counts, [1, 2, 3]));
      const left = Object.entries(result.leftOut).map(([name, count]) => `${count} ${name}`);
      const repeated = Object.entries(result.repeated).map(([name, count]) => `, ${count} questions of ${name}`);
      const short = result.training < rows ? `, ${rows - result.training} fewer than asked for` : '';
      print(
        context,
        escapeForTerminal(
          `\n${result.training} harmful training requests${short}; left out: ${left.join(', ')}${repeated.join('')}\nLibrary: ${result.out} (library.path in a configuration)`,
        ),
      );
    });
}

async function classifierOf(
  { classify, url, model, maxCalls, perMinute, store }: ImportFlags,
  context: CommandContext,
): Promise<{ classifier?: OpenHazardClassifier }> {
  const guard = /^guard(?::(.*))?$/s.exec(classify);
  if (classify !== 'native' && classify !== 'endpoint' && !guard)
    throw badInput(`Nothing classifies by "${classify}".`, '--classify is native, endpoint or guard:MODEL.');
  const stray = Object.entries({ '--url': url, '--model': model, '--max-calls': maxCalls, '--per-minute': perMinute });
  const given = stray.filter(([, value]) => value !== undefined).map(([name]) => name);
  if (classify !== 'endpoint' && given.length > 0)
    throw badInput(`${given.join(' and ')}: of --classify endpoint alone.`, 'Give that too, or leave it out.');
  if (classify === 'native') return {};
  const { openStore } = await import('../../infra/artifacts/artifactStore.ts');
  const { storeUri, home } = placesOf(context, store);
  if (guard) {
    if (!guard[1]) throw badInput('--classify guard: names no model.', 'Write guard:MODEL.');
    const { readGuardClassifierSettings } = await import('../operate/guardSettings.ts');
    const { guardClassifier } = await import('../operate/guardClassifier.ts');
    const settings = await readGuardClassifierSettings(guard[1]);
    return { classifier: guardClassifier(settings, { store: await openStore(storeUri), home, cache: cadaCache() }) };
  }
  if (url === undefined || model === undefined)
    throw badInput('An endpoint needs its address and its model.', 'Give both --url and --model.');
  const { z } = await import('zod');
  const { endpointAddress } = await import('../../alignment/configuration/endpoint.ts');
  const { classifierKeyVariable, endpointClassifier } = await import('../operate/endpointClassifier.ts');
  const parsed = z.object(endpointAddress(classifierKeyVariable)).safeParse({ url, model });
  if (!parsed.success) throw badInput(`--url ${url}: ${parsed.error.issues[0]!.message}.`);
  const settings = {
    ...parsed.data,
    ...(maxCalls === undefined ? {} : { maxCalls }),
    ...(perMinute === undefined ? {} : { requestsPerMinute: perMinute }),
  };
  return { classifier: endpointClassifier(settings, await openStore(storeUri)) };
}
