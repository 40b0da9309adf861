/** `cada judge-check`: how far judges agree with published labels. */
import { Option, type Command } from 'commander';
import { countOf } from '../counts.ts';
import { placesOf, print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import { exitCodes } from '../exitCodes.ts';
import type { JudgeCheckReport } from '../operate/judgeCheck.ts';
import type { Agreement } from '../../alignment/judges/agreement.ts';
import { cadaCache } from '../../infra/paths.ts';
import { plainTable } from '../terminal.ts';

interface JudgeCheckFlags {
  data: string;
  library?: string;
  judgeUrl?: string;
  judgeModel?: string;
  judge?: 'guard';
  guard?: string;
  limit?: number;
  store?: string;
  json?: true;
}

export function addJudgeCheckCommand(program: Command, context: CommandContext): void {
  program
    .command('judge-check')
    .description(
      "Compares judges with published labels: XSTest's labelled answers (people's labels and its string labels) and JailbreakBench's attack artifacts. Exit code 1 where our string judge differs from XSTest's published string labels.",
    )
    .requiredOption('--data <folder>', 'folder that holds them, at any depth')
    .option('--library <folder>', 'library whose judges are checked (default: the shipped one)')
    .option('--judge-url <url>', 'also a judge behind an OpenAI-compatible endpoint; its key from CADA_JUDGE_API_KEY')
    .option('--judge-model <name>', 'its model')
    .addOption(new Option('--judge <kind>', 'also this judge: guard (the model of --guard)').choices(['guard']))
    .option(
      '--guard <model|file>',
      'also a guard model: folder, .gguf file, hub id, or a .yaml file with the settings of `guardModel`',
    )
    .option('--limit <n>', 'answers of each file at most', countOf)
    .option('--store <address>', 'where its replies are kept (default: CADA_STORE, else in CADA_HOME)')
    .option('--json', 'for scripts')
    .action(async (options: JudgeCheckFlags) => {
      const { checkJudges, endpointJudge, libraryJudges } = await import('../operate/judgeCheck.ts');
      const judges = await libraryJudges(options.library);
      const { judgeUrl: url, judgeModel: model } = options;
      if ((url === undefined) !== (model === undefined)) {
        throw badInput('A judge needs its address and its model.', 'Give both --judge-url and --judge-model.');
      }
      if (url !== undefined && model !== undefined) {
        judges.push(await endpointJudge({ url, model }, placesOf(context, options.store).storeUri));
      }
      if (options.judge === 'guard' && options.guard === undefined)
        throw badInput('The judge "guard" needs its model.', 'Give it with --guard: a model, or a .yaml file.');
      const guard = options.guard === undefined ? undefined : await openGuard(options.guard, options.store, context);
      if (guard) judges.push(guard);
      let report: JudgeCheckReport;
      try {
        report = await checkJudges(options.data, judges, options.limit);
      } finally {
        await guard?.close();
      }
      if (options.json) printJson(context, report);
      else print(context, describe(report) + (guard ? guardNote : ''));
      if (report.stringLabels.answers > 0 && !report.stringLabels.equalToPublished)
        context.setExitCode(exitCodes.failure);
    });
}

/** It answers another question than XSTest's labels. */
const guardNote =
  '\n\nA guard model knows harm, not refusal: here what it finds safe counts as a refusal, which says something of the unsafe prompts alone. Its own question is that of the attack artifacts.';

async function openGuard(named: string, store: string | undefined, context: CommandContext) {
  const { guardJudge } = await import('../operate/guardJudge.ts');
  const { readGuardSettings } = await import('../operate/guardSettings.ts');
  const { storeUri, home } = placesOf(context, store);
  return guardJudge(await readGuardSettings(named), { storeUri, home, cache: cadaCache() }, (line) =>
    remark(context, line),
  );
}

function describe({ stringLabels, xstest, jailbreakbench }: JudgeCheckReport): string {
  const lines = [
    stringLabels.answers === 0
      ? "The folder has none of XSTest's string labels (files ..._streval.csv)."
      : `XSTest's string labels: our string judge equals ${stringLabels.equal} of ${stringLabels.answers}.`,
    ...stringLabels.byFile.flatMap(({ file, differing }) =>
      differing.length === 0 ? [] : [`  ${file} differs at ids ${differing.join(', ')}`],
    ),
    '',
    `XSTest, ${xstest.answers} answers labelled by people; refusal (full or partial) or not:`,
    plainTable(
      ['judge', 'agreement', 'kappa', 'without partial', 'kappa', 'safe prompts', 'unsafe prompts', 'unscorable'],
      xstest.judges.map(({ judge, refusal, withoutPartial, safe, unsafe, unscorable }) => [
        judge,
        accuracy(refusal),
        kappa(refusal),
        accuracy(withoutPartial),
        kappa(withoutPartial),
        accuracy(safe),
        accuracy(unsafe),
        String(unscorable),
      ]),
      [7],
    ),
  ];
  for (const { judge, byClass, byFile } of xstest.judges) {
    const said = Object.keys(Object.values(byClass)[0]!);
    lines.push('', `${judge}, by people's label (rows) and by model:`);
    lines.push(
      plainTable(
        ['label', ...said],
        Object.entries(byClass).map(([label, counts]) => [label, ...said.map((one) => String(counts[one]))]),
        said.map((_, index) => index + 1),
      ),
      plainTable(
        ['model', 'agreement', 'kappa'],
        byFile.map(({ model, refusal }) => [model, accuracy(refusal), kappa(refusal)]),
      ),
    );
  }
  if (jailbreakbench) {
    lines.push(
      '',
      `JailbreakBench's attack artifacts, ${jailbreakbench.answers} answers labelled by its own judge; jailbroken, or here: not refused:`,
      plainTable(
        ['judge', 'agreement', 'kappa', 'unscorable'],
        jailbreakbench.judges.map(({ judge, jailbroken, unscorable }) => [
          judge,
          accuracy(jailbroken),
          kappa(jailbroken),
          String(unscorable),
        ]),
        [3],
      ),
    );
  }
  return lines.join('\n');
}

function accuracy(agreement: Agreement | null): string {
  if (!agreement) return '–';
  const { value, interval } = agreement.accuracy;
  return `${value.toFixed(3)} [${interval[0].toFixed(3)}, ${interval[1].toFixed(3)}]`;
}

const kappa = (agreement: Agreement | null): string => agreement?.kappa?.toFixed(3) ?? '–';
