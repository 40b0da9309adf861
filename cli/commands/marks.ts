/** `cada mark` and `cada marks`: what reviewers say of a run's chains. */
import { InvalidArgumentError, type Command } from 'commander';
import { countMarks, currentMarks, verdicts, type Mark, type MarkVerdict } from '../../alignment/feedback/marks.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { placesOf, print, printJson, remark, type CommandContext } from '../context.ts';
import { plainTable } from '../terminal.ts';
import { namedRunArgument, runArgument, storeOption } from '../runArguments.ts';

interface MarkFlags {
  as: MarkVerdict;
  by: string;
  note?: string;
  store?: string;
  json?: true;
}

export function addMarkCommand(program: Command, context: CommandContext): void {
  program
    .command('mark')
    .description(
      "Keeps what a reviewer says of one chain: `right`, `wrong-refusal`, `harmful`, `leak`, or `none` to take it back. The chain's latest mark counts, all are kept.",
    )
    .argument(...namedRunArgument)
    .argument('<chain>', 'name of the chain, as `cada chains` and the report show it')
    .requiredOption('--as <verdict>', verdicts.join(', '), verdictOf)
    .requiredOption('--by <name>', 'who says so')
    .option('--note <text>', 'why')
    .option('--json', 'for scripts')
    .option(...storeOption)
    .action(async (named: string, chain: string, flags: MarkFlags) => {
      const [{ findRun }, { markChain }] = await Promise.all([import('../runs.ts'), import('../operate/marks.ts')]);
      const run = await findRun(placesOf(context, flags.store).storeUri, named);
      const { as, by, note } = flags;
      const { mark } = await markChain(run, { chain, as, by, ...(note === undefined ? {} : { note }) }, new Date());
      if (flags.json) printJson(context, mark);
      else print(context, escapeForTerminal(`${run.runId}: ${mark.chain} is marked ${mark.as} by ${mark.by}`));
    });
}

interface ListFlags {
  all?: true;
  json?: true;
  store?: string;
}

export function addMarksCommand(program: Command, context: CommandContext): void {
  const marks = program
    .command('marks')
    .description('Lists what reviewers said of the chains of a run; `cada marks import` reads a file of it.')
    .argument(...runArgument)
    .option('--all', 'also marks that later ones have replaced')
    .option('--json', 'for scripts')
    .option(...storeOption)
    .action(async (named: string | undefined, flags: ListFlags) => {
      const [{ findRun }, { listMarks }] = await Promise.all([
        import('../runs.ts'),
        import('../../infra/artifacts/marks.ts'),
      ]);
      const { store, runId } = await findRun(placesOf(context, flags.store).storeUri, named);
      const all = await listMarks<Mark>(store, runId);
      const current = currentMarks(all);
      const shown = flags.all ? all : current;
      if (flags.json) return printJson(context, { runId, counts: countMarks(current), marks: shown });
      print(context, describeMarks(runId, shown, current));
    });
  marks
    .command('import')
    .description("Keeps the marks of a file: JSON Lines, as the report's page offers them. All of them, or none.")
    .argument(...namedRunArgument)
    .argument('<file>', 'the file')
    .option('--json', 'for scripts')
    .option(...storeOption)
    .action(async (named: string, file: string, _: unknown, command: Command) => {
      // `cada marks` has the same options, and reads them first.
      const flags = command.optsWithGlobals<Omit<ListFlags, 'all'>>();
      const [{ findRun }, { importMarks }] = await Promise.all([import('../runs.ts'), import('../operate/marks.ts')]);
      const run = await findRun(placesOf(context, flags.store).storeUri, named);
      const { kept, known } = await importMarks(run, file, new Date());
      if (flags.json) return printJson(context, { runId: run.runId, kept, known });
      if (known > 0) remark(context, `${known} marks were known already`);
      print(context, `${kept.length} marks of run ${run.runId} kept`);
    });
}

function describeMarks(runId: string, shown: readonly Mark[], current: readonly Mark[]): string {
  if (shown.length === 0) return `No chain of run ${runId} is marked. \`cada mark\` marks one; the report's page many.`;
  const rows = shown.map(({ chain, as, by, at, note }) => [
    ...[chain, as, by, at.slice(0, 16).replace('T', ' ')],
    (note ?? '').replace(/\s+/g, ' '),
  ]);
  const counts = Object.entries(countMarks(current)).map(([verdict, count]) => `${count} ${verdict}`);
  return `${plainTable(['chain', 'marked', 'by', 'at (UTC)', 'note'], rows)}\n\n${current.length} chains marked: ${counts.join(', ') || 'none'}`;
}

function verdictOf(text: string): MarkVerdict {
  const found = verdicts.find((verdict) => verdict === text);
  if (!found) throw new InvalidArgumentError(`Known: ${verdicts.join(', ')}.`);
  return found;
}
