/** `cada compare`: arms x seeds x models of a study, as one durable command. */
import type { Command } from 'commander';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { commandName } from '../commandName.ts';
import { placesOf, print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { exitCodes } from '../exitCodes.ts';
import type { Comparison } from '../operate/compareStudy.ts';
import { plainTable } from '../terminal.ts';
import { storeOption } from '../runArguments.ts';

interface CompareFlags {
  data?: string;
  store?: string;
  units?: string;
  interim?: true;
  passOver?: true;
  detach?: true;
  dryRun?: true;
  json?: true;
}

export function addCompareCommand(program: Command, context: CommandContext): void {
  program
    .command('compare')
    .summary('compare arms: settings of inference and training, over seeds and models')
    .description(
      'Runs a study: every arm, seed and model is trained (where it is to be), asked and judged on the same questions; one page with figures, intervals,\n' +
        'paired differences and costs. Ctrl-C stops; the same command goes on, and what is done is not done again.',
    )
    .argument('<study>', 'study file (docs/studies.md)')
    .option('--data <folder>', 'your own copies of the benchmarks (default: CADA_DATA); else they are fetched')
    .option(...storeOption)
    .option('--units <file>', 'units that another machine has done: the units.jsonl of its result (also gzipped, .gz)')
    .option('--interim', 'what the units that are done come to, without doing more')
    .option('--pass-over', 'stop a run that waits for its operator, name its unit as failed, and go on with the next')
    .option('--detach', 'hand the study to an external Temporal server and its workers, and return')
    .option(
      '--dry-run',
      'read and check everything, say what it will take, start nothing and ask nothing of the network',
    )
    .option('--json', 'for scripts')
    .action(async (file: string, flags: CompareFlags) => {
      const data = flags.data ?? (context.env['CADA_DATA'] || undefined);
      if (flags.dryRun) return planOnly(file, data, flags.json === true, context);
      const { compare } = await import('../operate/compareStudy.ts');
      const comparison = await compare(
        {
          file,
          data,
          ...placesOf(context, flags.store),
          detach: flags.detach === true,
          ...(flags.units === undefined ? {} : { units: flags.units }),
          interim: flags.interim === true,
          passOver: flags.passOver === true,
          signal: context.signal,
        },
        (line) => remark(context, escapeForTerminal(line)),
      );
      await tell(comparison, flags, context);
    });
}

async function planOnly(file: string, data: string | undefined, json: boolean, context: CommandContext): Promise<void> {
  const [{ dryRun }, { readStudy }, { describeDryRun }] = await Promise.all([
    import('../operate/compareDryRun.ts'),
    import('../operate/compareFile.ts'),
    import('../studyPlan.ts'),
  ]);
  const planned = await dryRun(await readStudy(file), data);
  if (json) printJson(context, planned);
  else print(context, describeDryRun(planned));
}

async function tell(comparison: Comparison, { json, interim }: CompareFlags, context: CommandContext): Promise<void> {
  if (comparison.state === 'detached') {
    if (json) printJson(context, comparison);
    return;
  }
  if (comparison.state === 'waiting') {
    const { runId, cause } = comparison;
    if (json) printJson(context, comparison);
    const command = commandName(context.env, process.argv[1], process.cwd());
    const said = `Run ${runId} waits for its operator: ${cause}\nMend the cause, then give the same command again. To see more: ${command} status ${runId}`;
    remark(context, escapeForTerminal(said));
    return context.setExitCode(exitCodes.waiting);
  }
  const { result, files } = comparison;
  if (json) printJson(context, { ...result, files });
  else {
    const { mainTables, tableNotes } = await import('../../alignment/study/studyTables.ts');
    const { hypothesisTable } = await import('../../alignment/study/hypothesisTable.ts');
    const claimed = hypothesisTable(result);
    if (claimed) print(context, `${plainTable(claimed.head, claimed.rows)}\n`);
    for (const { model, head, rows } of mainTables(result)) {
      if (result.models.length > 1) print(context, escapeForTerminal(model));
      print(context, `${plainTable(head, rows)}\n`);
    }
    print(context, escapeForTerminal(tableNotes(result).join('\n')));
    print(
      context,
      `\nPage: ${files.page}\nTables: ${files.markdown}, ${files.latex}; figures: ${files.json}; units: ${files.units}`,
    );
  }
  if (result.failed.length > 0 && interim) {
    remark(context, `${result.failed.length} units are not done; the same command without --interim goes on.`);
  } else if (result.failed.length > 0) {
    remark(context, `${result.failed.length} units failed; the same command tries them again.`);
    context.setExitCode(exitCodes.failure);
  }
}
