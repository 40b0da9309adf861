/** `cada safety-report`: a model card made from what the store knows of a run. */
import type { Command } from 'commander';
import { placesOf, print, printJson, remark, type CommandContext } from '../context.ts';
import { runArgument, storeOption } from '../runArguments.ts';

interface SafetyReportFlags {
  out?: string;
  json?: true;
  store?: string;
}

export function addSafetyReportCommand(program: Command, context: CommandContext): void {
  program
    .command('safety-report')
    .description(
      "Writes a run's safety report (a model card made from its lineage: data, judges, figures, decisions, limits) as Markdown and HTML into the run's folder and says where.",
    )
    .argument(...runArgument)
    .option('--out <folder>', 'write it there instead')
    .option('--json', 'what it says, for scripts; writes nothing unless --out is given')
    .option(...storeOption)
    .action(async (named: string | undefined, flags: SafetyReportFlags) => {
      const [{ findRun }, { gatherSafety, writeSafetyReport }, { safetyReport }, { runFolders }] = await Promise.all([
        import('../runs.ts'),
        import('../operate/safetyReport.ts'),
        import('../../alignment/safetyReport/renderSafetyReport.ts'),
        import('../../infra/paths.ts'),
      ]);
      const { home, storeUri } = placesOf(context, flags.store);
      const run = await findRun(storeUri, named);
      const data = await gatherSafety(run);
      const folder = flags.out ?? (flags.json ? undefined : runFolders(home, run.runId).root);
      const written = folder === undefined ? undefined : await writeSafetyReport(data, folder);
      if (flags.json) return printJson(context, { runId: run.runId, ...safetyReport(data), ...(written ?? {}) });
      print(context, written!.markdown);
      remark(context, `HTML: ${written!.html}`);
    });
}
