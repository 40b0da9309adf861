/** `cada evaluate`: a model, or a run's aligned model, on public benchmarks. */
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { allAttackNames, searchedAttackNames, type AnyAttackName } from '../../alignment/attacks/attackNames.ts';
import { defaultPairs } from '../../alignment/configuration/faithfulness.ts';
import { suiteNames, type SuiteName } from '../../alignment/benchmarks/benchmarkNames.ts';
import type { JudgeSettings } from '../../alignment/configuration/judge.ts';
import type { SuiteResult } from '../../activities/judgeSuites.ts';
import type { Rate } from '../../alignment/evaluation/figures.ts';
import type { Measure, SuiteFigures } from '../../alignment/evaluation/suiteFigures.ts';
import { armName, parseArm, type InferenceArm } from '../../alignment/study/inferenceArm.ts';
import { nearestName } from '../../infra/configuration/nearestName.ts';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import { countOf } from '../counts.ts';
import { placesOf, print, printJson, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';
import type { Evaluation } from '../operate/evaluation.ts';
import { plainTable } from '../terminal.ts';
import { storeOption } from '../runArguments.ts';
import { describeAttacks, readAttackSettings } from './evaluateAttacks.ts';

interface EvaluateFlags {
  suite?: SuiteName[];
  faithfulness?: true | number;
  attack: AnyAttackName[];
  attackSettings?: string;
  limit?: number;
  all?: true;
  maxNewTokens?: number;
  arm?: InferenceArm;
  base?: true;
  leaks?: true;
  seed: number;
  data?: string;
  byCategory?: true;
  judgeUrl?: string;
  judgeModel?: string;
  judgeVotes?: number;
  judgeCombine?: string;
  judgeRubric?: string;
  judgeCalls?: number;
  judgePerMinute?: number;
  judgeStructured?: true;
  guard?: string;
  store?: string;
  json?: true;
}

export function addEvaluateCommand(program: Command, context: CommandContext): void {
  program
    .command('evaluate')
    .description(
      "Evaluates a model (folder, .gguf file, hub id) or a run's aligned model on public benchmarks: greedy answers, fixed seeded parts. The same command again finds what is done.",
    )
    .argument('<model|run>', 'what to evaluate')
    .option('--suite <names>', `one or more of: ${suiteNames.join(', ')}`, suitesOf)
    .option('--attack <names>', `also each harmful question under: ${allAttackNames.join(', ')}`, attacksOf, [])
    .option(
      '--attack-settings <file>',
      `YAML with the settings of ${searchedAttackNames.join(', ')}; the attacker's key from CADA_ATTACKER_API_KEY`,
    )
    .option('--limit <n>', 'questions of each suite at most (default: the sizes of a study)', countOf)
    .option('--all', 'every question of each suite')
    .option(
      '--arm <parts>',
      'what stands before each question: none; codes, codes:own or simple; with cases:K, with format:K (default: none)',
      armOf,
    )
    .option('--max-new-tokens <n>', 'longest answer (default: 256)', countOf)
    .option('--base', 'of a run: the model it started from')
    .option('--seed <n>', 'of the choice of questions', countOf, 1234)
    .option('--data <folder>', 'your own copies of the benchmarks (default: CADA_DATA); else they are fetched')
    .option('--leaks', 'also judge the analyses of refusals: do they give what the answer withholds?')
    .option(
      '--faithfulness [pairs]',
      `also swap the analyses of pairs of requests: does the answer follow? (default: ${defaultPairs} pairs)`,
      countOf,
    )
    .option('--by-category', 'also by hazard category')
    .option('--judge-url <url>', 'rubric judge behind an OpenAI-compatible endpoint; its key from CADA_JUDGE_API_KEY')
    .option('--judge-model <name>', 'its model')
    .option('--judge-votes <n>', 'questions about each answer (default: 1)', countOf)
    .option('--judge-combine <rule>', 'what they come to: mean, median, worst (default: mean)')
    .option('--judge-rubric <file>', 'another wording, with {forbidden_prompt} and {response}')
    .option('--judge-calls <n>', 'budget of calls', countOf)
    .option('--judge-per-minute <n>', 'requests a minute at most', countOf)
    .option('--judge-structured', 'ask for JSON by a schema')
    .option(
      '--guard <model|file>',
      'guard model that judges harm: folder, .gguf file, hub id, or a .yaml file with the settings of `guardModel`',
    )
    .option(...storeOption)
    .option('--json', 'for scripts')
    .action(async (target: string, flags: EvaluateFlags) => {
      if (!flags.suite && flags.faithfulness === undefined)
        throw badInput(
          'There is nothing to evaluate on.',
          `Name suites with --suite (${suiteNames.join(', ')}), or give --faithfulness.`,
        );
      const pairs = flags.faithfulness === true ? defaultPairs : flags.faithfulness;
      const judge = await judgeOf(flags);
      const attackSettings =
        flags.attackSettings === undefined ? undefined : await readAttackSettings(flags.attackSettings);
      const { readGuardSettings } = await import('../operate/guardSettings.ts');
      const guard = flags.guard === undefined ? undefined : await readGuardSettings(flags.guard);
      const { evaluate } = await import('../operate/evaluation.ts');
      const limit = flags.all ? 'all' : flags.limit;
      const evaluation = await evaluate(
        {
          target,
          suites: flags.suite ?? [],
          attacks: flags.attack,
          ...(attackSettings ? { attackSettings } : {}),
          ...(limit === undefined ? {} : { limit }),
          ...(flags.maxNewTokens === undefined ? {} : { maxNewTokens: flags.maxNewTokens }),
          ...(flags.arm ? { arm: flags.arm } : {}),
          base: flags.base === true,
          ...(flags.leaks ? { leaks: true as const } : {}),
          ...(pairs === undefined ? {} : { faithfulness: { pairs } }),
          seed: flags.seed,
          ...(judge ? { judge } : {}),
          ...(guard ? { guard } : {}),
          data: flags.data ?? (context.env['CADA_DATA'] || undefined),
          ...placesOf(context, flags.store),
          signal: context.signal,
        },
        (line) => remark(context, escapeForTerminal(line)),
      );
      if (flags.json) printJson(context, jsonOf(evaluation));
      else print(context, describe(evaluation, flags.byCategory === true));
    });
}

function armOf(text: string): InferenceArm {
  try {
    return parseArm(text);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
}

export const suitesOf = (text: string): SuiteName[] => listOf(text, suiteNames, 'suite');
const attacksOf = (text: string): AnyAttackName[] => listOf(text, allAttackNames, 'attack');

function listOf<T extends string>(text: string, known: readonly T[], what: string): T[] {
  return text.split(',').map((part) => {
    const name = part.trim();
    const found = known.find((one) => one === name);
    if (found) return found;
    const nearest = nearestName(name, [...known]);
    throw new InvalidArgumentError(
      `There is no ${what} "${name}"${nearest ? `; did you mean ${nearest}?` : ''} Known: ${known.join(', ')}.`,
    );
  });
}

async function judgeOf(flags: EvaluateFlags): Promise<JudgeSettings | undefined> {
  const { judgeUrl, judgeModel } = flags;
  if (judgeUrl === undefined && judgeModel === undefined) return undefined;
  if (judgeUrl === undefined || judgeModel === undefined) {
    throw badInput('A judge needs its address and its model.', 'Give both --judge-url and --judge-model.');
  }
  const { readFile } = await import('node:fs/promises');
  const { judgeSchema } = await import('../../alignment/configuration/judge.ts');
  const { rubricQuestion } = await import('../../alignment/judges/rubric.ts');
  const rubric = flags.judgeRubric === undefined ? undefined : await readFile(flags.judgeRubric, 'utf8');
  const parsed = judgeSchema.safeParse({
    url: judgeUrl,
    model: judgeModel,
    ...(flags.judgeVotes === undefined ? {} : { votes: flags.judgeVotes }),
    ...(flags.judgeCombine === undefined ? {} : { combine: flags.judgeCombine }),
    ...(flags.judgeCalls === undefined ? {} : { maxCalls: flags.judgeCalls }),
    ...(flags.judgePerMinute === undefined ? {} : { requestsPerMinute: flags.judgePerMinute }),
    ...(flags.judgeStructured ? { structured: true } : {}),
    ...(rubric === undefined ? {} : { rubric }),
  });
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw badInput(`The judge's ${issue!.path.join('.')}: ${issue!.message}.`, 'Correct the --judge-... option.');
  }
  try {
    rubricQuestion({ request: '', finalResponse: '' }, rubric);
  } catch (error) {
    throw badInput(`${flags.judgeRubric}: ${(error as Error).message}.`, 'Add it to the file.');
  }
  return parsed.data;
}

/** Figures alone: the answers are in the store. */
function jsonOf({ id, result, artifact, seconds }: Evaluation): object {
  const { answers: _answers, questions, chains, ...figures } = result;
  return { id, ...figures, seconds, artifact: artifact.uri, questions: questions.uri, chains: chains.uri };
}

function describe({ id, result, artifact }: Evaluation, byCategory: boolean): string {
  const { model, suites, rubricJudge, guardJudge, maxNewTokens, arm } = result;
  const adapter = model.adapterSha256 === null ? '' : ` with adapter ${model.adapterSha256.slice(0, 12)}`;
  const lines = [
    `${model.name} (${model.digest.slice(0, 12)})${adapter}, greedy, at most ${maxNewTokens} new tokens`,
    ...(arm ? [`Before each question: ${armName(arm)}. The final responses alone are judged.`] : []),
    rubricJudge === null
      ? 'No rubric judge was asked: refusals are told by strings and rules; none of these is a StrongREJECT score.'
      : `Rubric judge: ${rubricJudge}`,
    ...(guardJudge === undefined ? [] : [`Judge of harm: ${guardJudge}`]),
  ];
  for (const suite of suites) lines.push('', ...describeSuite(suite, byCategory));
  if (result.faithfulness) lines.push('', describeFaithfulness(result.faithfulness));
  if (result.attackCosts) lines.push('', describeAttacks(result.attackCosts));
  lines.push('', `Evaluation ${id}; every answer: ${artifact.uri}`);
  return escapeForTerminal(lines.join('\n'));
}

function describeFaithfulness({ judge, figures }: SuiteResult['faithfulness'] & object): string {
  const { pairs, unformed, unscorable, differing, followed, control } = figures;
  const share = (rate: { value: number; interval: [number, number] } | null, n: string): string =>
    rate === null
      ? 'no pair tells'
      : `${rate.value.toFixed(3)} [${rate.interval.map((one) => one.toFixed(3)).join(', ')}], ${n}`;
  const of = (rate: Rate | null) => share(rate, `n ${rate?.n}`);
  return [
    `Does the answer follow the analysis? (${pairs} pairs: ${unformed} without two analyses, ${unscorable} without a verdict, ${differing} whose own answers differ; ${judge})`,
    `  follows the swapped analysis: ${share(followed, `${followed?.pairs} pairs`)}`,
    `  harmful request, harmless analysis: ${of(figures.harmfulBehindHarmless)}`,
    `  harmless request, harmful analysis: ${of(figures.harmlessBehindHarmful)}`,
    `  control, the same outcome behind its own analysis: ${of(control)}`,
  ].join('\n');
}

function describeSuite(suite: SuiteFigures, byCategory: boolean): string[] {
  const { title, licence, answers, unscorable, cut, measures } = suite;
  const aside = [
    `${answers} answers`,
    `licence of the data: ${licence}`,
    ...(unscorable > 0 ? [`${unscorable} unscorable`] : []),
    ...(cut > 0 ? [`${Math.round(cut * answers)} of them cut`] : []),
  ];
  const parts: [string, Measure[]][] = [
    ...suite.byAttack.map(({ attack, measures: part }): [string, Measure[]] => [`attack: ${attack}`, part]),
    ...(byCategory ? suite.byCategory : []).map(({ category, measures: part }): [string, Measure[]] => [
      category,
      part,
    ]),
  ];
  return [
    `${title} (${aside.join(', ')})`,
    table(measures),
    ...parts.flatMap(([name, part]) => [`  ${name}`, table(part)]),
  ];
}

function table(measures: readonly Measure[]): string {
  return plainTable(
    ['figure', 'of', 'judge', 'value', '95 % interval', 'n', 'better', ''],
    measures.map(({ name, of, judge, value, interval, n, better, notes }) => [
      ...[name, of, judge, value.toFixed(3)],
      ...[`[${interval[0].toFixed(3)}, ${interval[1].toFixed(3)}]`, String(n), better, notes.join('; ')],
    ]),
    [3, 5],
  );
}
