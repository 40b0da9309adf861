/** `cada export`: what a run has made, in the forms of other programs. */
import { Option, type Command } from 'commander';
import { datasetConfigs, type DatasetConfig } from '../../alignment/dataset/datasetCard.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { placesOf, print, printJson, remark, type CommandContext } from '../context.ts';
import type { ExportedDataset } from '../operate/exportDataset.ts';
import { runArgument, storeOption } from '../runArguments.ts';

interface DatasetFlags {
  out: string;
  only?: DatasetConfig;
  include: 'chosen' | 'all';
  store?: string;
  json?: true;
}

export function addExportCommand(program: Command, context: CommandContext): void {
  const group = program.command('export').description('What a run has made, in the forms of other programs.');
  group
    .command('dataset')
    .description(
      "Writes a run's chains as a dataset: Parquet files and a card, as `datasets` and TRL read them. Two configs: `sft` (chains to imitate) and `preference` (a better and a worse chain of one request). The folder is written whole or not at all.",
    )
    .argument(...runArgument)
    .requiredOption('--out <folder>', 'folder to be made; it must be empty or not there')
    .addOption(new Option('--only <config>', 'one config instead of both').choices(datasetConfigs))
    .addOption(
      new Option('--include <chains>', 'chains of `sft`: those chosen to imitate, or all, with a mark on the chosen')
        .choices(['chosen', 'all'])
        .default('chosen'),
    )
    .option('--json', 'for scripts')
    .option(...storeOption)
    .action(async (run: string | undefined, { out, only, include, store, json }: DatasetFlags) => {
      const { exportDataset } = await import('../operate/exportDataset.ts');
      const exported = await exportDataset({
        ...{ run, out, all: include === 'all', signal: context.signal },
        ...(only === undefined ? {} : { only }),
        storeUri: placesOf(context, store).storeUri,
      });
      if (json) return printJson(context, exported);
      print(context, escapeForTerminal(exported.folder));
      for (const line of describe(exported, only)) remark(context, escapeForTerminal(line));
    });
}

function describe({ configs, runId, chosen }: ExportedDataset, only: DatasetConfig | undefined): string[] {
  return datasetConfigs.flatMap((config) => {
    const written = configs[config];
    if (!written) return only === undefined ? [`${config}: none in run ${runId}`] : [];
    const kinds = Object.entries(written.kinds).map(([kind, count]) => `${count} ${kind}`);
    const part = config === 'sft' && chosen < written.rows ? `, ${chosen} of them chosen` : '';
    return [`${config}: ${written.rows} rows (${kinds.join(', ')})${part}`];
  });
}
