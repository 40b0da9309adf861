/** `cada contamination`: which benchmark questions stand among training requests, cases and files of one's own. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import type { SuiteName } from '../../alignment/benchmarks/benchmarkNames.ts';
import type { Contamination } from '../../alignment/benchmarks/contamination.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { cadaCache } from '../../infra/paths.ts';
import { print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { shippedConfiguration } from '../packageRoot.ts';
import { plainTable } from '../terminal.ts';
import { suitesOf } from './evaluate.ts';

interface ContaminationFlags {
  suite: SuiteName[];
  file: string[];
  data?: string;
  pairs?: true;
  json?: true;
}

export function addContaminationCommand(program: Command, context: CommandContext): void {
  program
    .command('contamination')
    .summary('benchmark questions among the training requests')
    .description(
      'Holds every request set of the library, the cases, and training files of your own against the benchmarks that a configuration or a study names: exact matches, near duplicates and runs of words in common, as counts and ids, never texts. Where none is named: against all whose files are on this machine.',
    )
    .argument('[config]', 'configuration or study (default: ./cada.yaml if there is one, else the shipped demo)')
    .option('--suite <names>', 'further benchmarks, as of `cada evaluate`', suitesOf, [])
    .option('--file <path>', 'a training file: JSON Lines, JSON, CSV or TSV; may stand several times', collect, [])
    .option('--data <folder>', 'your own copies of the benchmarks (default: CADA_DATA); else they are fetched')
    .option('--pairs', 'also the ids that belong together')
    .option('--json', 'for scripts')
    .action(async (config: string | undefined, flags: ContaminationFlags) => {
      const { findContamination } = await import('../operate/contamination.ts');
      const file = config ?? (existsSync('cada.yaml') ? 'cada.yaml' : shippedConfiguration('demo'));
      if (config === undefined) remark(context, `Configuration: ${file}`);
      const report = await findContamination(
        {
          file,
          suites: flags.suite,
          trainingFiles: flags.file,
          places: { data: flags.data ?? (context.env['CADA_DATA'] || undefined), cache: cadaCache() },
        },
        (line) => remark(context, escapeForTerminal(line)),
      );
      if (flags.json) return printJson(context, report);
      print(context, escapeForTerminal(describe(report.rows, flags.pairs === true)));
      if (report.missing.length > 0)
        remark(context, `Not on this machine, so not compared with (--suite fetches): ${report.missing.join(', ')}`);
    });
}

function describe(rows: readonly Contamination[], pairs: boolean): string {
  if (rows.length === 0) return 'There is no benchmark to compare with: name some with --suite.';
  const found = rows.filter((row) => row.pairs.length > 0);
  const lines = [
    plainTable(
      ['texts', 'use', 'number', 'benchmark', 'questions', 'exact', 'near', 'in part'],
      found.map((row) => [
        ...[row.source, row.use, String(row.texts), row.benchmark, String(row.questions)],
        ...[String(row.exact), String(row.near), String(row.run)],
      ]),
      [2, 4, 5, 6, 7],
    ),
    `${rows.length - found.length} of ${rows.length} pairs of texts and benchmark have nothing in common.`,
  ];
  for (const row of pairs ? found : []) {
    lines.push('', `${row.source} and ${row.benchmark}:`);
    for (const { question, text, overlap } of row.pairs)
      lines.push(`  ${question}  ${text}  ${overlap === 1 ? 'exact' : overlap.toFixed(2)}`);
  }
  return lines.join('\n');
}

const collect = (path: string, before: string[]): string[] => [...before, path];
