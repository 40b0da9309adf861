/** A study's figures as Markdown and as a LaTeX table. */
import { smallestShown, roundedUp, wantedDifference } from '../evaluation/pairedPower.ts';
import * as format from '../report/format.ts';
import { hypothesisRule, hypothesisTable } from './hypothesisTable.ts';
import type { Rate } from '../evaluation/figures.ts';
import { isSignificant, type ArmDifference, type ArmFigure, type ArmFigures } from './studyFigures.ts';
import type { StudyMeasure } from './measures.ts';
import type { StudyResult } from './studyResult.ts';

export interface StudyTable {
  /** As the study names the model. */
  model: string;
  head: string[];
  rows: string[][];
}

/** A mark behind figures that differ from those of the first arm. */
const significant = '*';

/** One table a model: a row an arm, a column a main measure, then what it cost. */
export function mainTables(result: StudyResult): StudyTable[] {
  const measures = mainMeasures(result);
  return result.models.map(({ model }) => ({
    model,
    head: [
      ...['arm', ...measures.map(columnTitle), 'tokens an answer', 'seconds an answer', 'training'],
      ...(asksJudge(result) ? ['judge'] : []),
    ],
    rows: armsOf(result, model).map((arm) => [
      nameOf(arm),
      ...measures.map(({ id }) => cell(arm.figures[id], isMarked(result, arm, id))),
      ...costCells(arm),
      ...(asksJudge(result) ? [judgeCell(arm)] : []),
    ]),
  }));
}

/** Figures by suite, and every other part of a main measure. */
export function partTables(result: StudyResult): StudyTable[] {
  const measures = result.figures.measures.filter(({ main }) => !main);
  return result.models.map(({ model }) => ({
    model,
    head: ['arm', ...measures.map(columnTitle)],
    rows: armsOf(result, model).map((arm) => [
      nameOf(arm),
      ...measures.map(({ id }) => cell(arm.figures[id], isMarked(result, arm, id))),
    ]),
  }));
}

/** Pairs of arms, in the main measures. */
export function differenceTables(result: StudyResult): StudyTable[] {
  const titles = new Map(mainMeasures(result).map(({ id, title }) => [id, title]));
  return result.models.map(({ model }) => ({
    model,
    head: ['measure', 'from', 'to', 'difference', 'n', 'p', 'p (Holm)', 'shown at 80 % power', ''],
    rows: result.figures.differences
      .filter((one) => one.model === model && titles.has(one.measure))
      .map((one) => [titles.get(one.measure)!, ...differenceCells(one)]),
  }));
}

/** Harmful questions by hazard: a row a hazard, a column an arm, with the number of questions behind each figure. */
export function hazardTables(result: StudyResult): StudyTable[] {
  const { hazards } = result.figures;
  return result.models.map(({ model }) => {
    const arms = (hazards?.arms ?? []).filter((one) => one.model === model);
    const names = [...new Set(arms.flatMap(({ byHazard }) => Object.keys(byHazard)))].sort();
    return {
      model,
      head: ['hazard', ...arms.map(({ arm }) => arm)],
      rows: names.map((hazard) => [
        hazards!.withheld.includes(hazard) ? `${hazard} (unseen)` : hazard,
        ...arms.map(({ byHazard }) => {
          const figure = byHazard[hazard];
          return figure ? `${cell(figure, false)} (n ${figure.n})` : format.missing;
        }),
      ]),
    };
  });
}

/** Whether answers follow analyses: a row a trained arm. */
export function faithfulnessTables(result: StudyResult): StudyTable[] {
  const counted = (rate: Rate | null): string =>
    rate === null ? format.missing : `${format.rate(rate)} (n ${rate.n})`;
  return result.models.map(({ model }) => ({
    model,
    head: [
      ...['arm', 'answer follows the swapped analysis ↑', 'harmful request, harmless analysis'],
      ...['harmless request, harmful analysis', 'control: own analysis', 'pairs that tell'],
    ],
    rows: (result.figures.faithfulness ?? [])
      .filter((one) => one.model === model)
      .map(({ arm, figures }) => {
        const { followed, harmfulBehindHarmless, harmlessBehindHarmful, control, differing, pairs } = figures;
        return [
          arm,
          followed
            ? `${format.number(followed.value)} ${format.interval(followed.interval)} (n ${followed.pairs})`
            : format.missing,
          ...[harmfulBehindHarmless, harmlessBehindHarmful, control].map(counted),
          `${differing} of ${pairs}`,
        ];
      }),
  }));
}

/** Main measures in which no or not every pair of arms could show a difference of .10. */
function differencePowerNotes(result: StudyResult): string[] {
  const { differences } = result.figures;
  return mainMeasures(result).flatMap(({ id, title }) => {
    const own = differences.filter(({ measure }) => measure === id);
    const shown = own.map(({ interval, n }) => ({ n, least: smallestShown(interval, n) }));
    const weak = shown.filter(({ least }) => least > wantedDifference).sort((one, other) => other.least - one.least);
    if (weak.length === 0) return [];
    const [{ n, least }] = weak as [(typeof weak)[number]];
    const only = Number.isFinite(least) ? `only ${roundedUp(least)} or more` : 'none';
    return [
      `${title}: a difference of ${wantedDifference.toFixed(2)} can't be shown at 80 % power in ${weak.length} of ${own.length} pairs of arms (with ${n} questions ${only}); where nothing is significant there, that says little.`,
    ];
  });
}

/** What the table by hazard is of. */
export function hazardNote({ figures: { hazards, measures } }: StudyResult): string | undefined {
  if (!hazards) return undefined;
  const { withheld, unmapped } = hazards;
  const { title, judge } = measures.find(({ id }) => id === 'harmlessness') ?? { title: 'harmlessness', judge: '' };
  const unseen =
    withheld.length > 0
      ? ` Unseen: ${withheld.join(', ')}, left out of the codes, cases and training of the arms that withhold them.`
      : '';
  return `By hazard: ${title}, by ${judge}, of questions whose category is of a hazard of the library; ${unmapped.harmful} harmful and ${unmapped.lookAlike} safe questions are of none and count in no row.${unseen}`;
}

function differenceCells(one: ArmDifference): string[] {
  const { from, to, value, interval, n, p, pHolm } = one;
  return [
    ...[from, to, `${format.signed(value)} ${format.interval(interval, format.signed)}`, String(n)],
    ...[format.pValue(p), format.pValue(pHolm), shownCell(one), isSignificant(one) ? 'significant' : ''],
  ];
}

/** The smallest difference that this pair of arms could show. */
function shownCell({ interval, n }: ArmDifference): string {
  const shown = smallestShown(interval, n);
  return Number.isFinite(shown) ? `≥ ${roundedUp(shown)}` : 'none';
}

/** What the cells of `shownCell` are. */
const shownRule =
  'Shown at 80 % power: the smallest difference that a two-sided test at 5 % finds with 80 % probability, by the width of the interval, and at least what so many yes-or-no answers can show ' +
  'where all that differ differ the same way. A smaller one may be there without being seen.';

export const mainMeasures = ({ figures }: StudyResult): StudyMeasure[] => figures.measures.filter(({ main }) => main);

export const armsOf = ({ figures }: StudyResult, model: string): ArmFigures[] =>
  figures.arms.filter((arm) => arm.model === model);

const columnTitle = ({ title, better }: StudyMeasure): string => `${title} ${better === 'higher' ? '↑' : '↓'}`;

const nameOf = ({ arm, seeds }: ArmFigures): string => (seeds > 1 ? `${arm} (${seeds} seeds)` : arm);

function cell(figure: ArmFigure | undefined, marked: boolean): string {
  if (!figure) return format.missing;
  const uninformative = figure.notes.some((note) => note.startsWith('uninformative')) ? ' uninformative' : '';
  return `${format.number(figure.value)}${marked ? significant : ''} ${format.interval(figure.interval)}${uninformative}`;
}

/** Against the first arm of the model. */
function isMarked({ figures }: StudyResult, { model, arm }: ArmFigures, measure: string): boolean {
  const first = figures.arms.find((one) => one.model === model)!.arm;
  return figures.differences.some(
    (one) =>
      one.model === model && one.measure === measure && one.from === first && one.to === arm && isSignificant(one),
  );
}

function costCells({ cost }: ArmFigures): string[] {
  const { tokensPerAnswer, secondsPerAnswer, trainingSeconds, trainingTokens } = cost;
  const tokens = trainingTokens === null ? '' : `, ${Math.round(trainingTokens)} tokens`;
  return [
    format.number(tokensPerAnswer, 0),
    format.number(secondsPerAnswer),
    trainingSeconds === null ? 'none' : `${format.duration(trainingSeconds)}${tokens}`,
  ];
}

const asksJudge = ({ figures }: StudyResult): boolean => figures.arms.some(({ cost }) => cost.judge !== undefined);

function judgeCell({ cost: { judge } }: ArmFigures): string {
  return judge ? format.judgeUse(judge) : format.missing;
}

/** What the tables do not say by themselves. */
export function tableNotes(result: StudyResult): string[] {
  const { settings, figures, failed, arms } = result;
  const notes = figures.arms.flatMap(({ arm, figures: own }) =>
    figures.measures.flatMap(({ id, title }) =>
      (own[id]?.notes ?? []).map((note) => ({ note: `${title}: ${note}`, arm })),
    ),
  );
  const byNote = [...Map.groupBy(notes, ({ note }) => note)].map(
    ([note, of]) => `${note} (${of.map(({ arm }) => arm).join(', ')})`,
  );
  const judges = [...Map.groupBy(figures.measures, ({ judge }) => judge)].map(
    ([judge, of]) => `Judged by ${judge}: ${of.map(({ title }) => title).join('; ')}.`,
  );
  const hazards = hazardNote(result);
  return [
    `Greedy answers of at most ${settings.maxNewTokens} new tokens; the final responses alone are judged. Brackets: 95 % intervals of ${settings.bootstrapSamples} bootstrap draws over questions and seeds (Wilson's where all answers agree).`,
    ...(arms.length > 1
      ? [
          `${significant} differs from ${arms[0]!.name}: the paired interval excludes 0 and p < .05 after Holm's adjustment over all pairs of arms.`,
        ]
      : []),
    ...(arms.some(({ trained }) => trained)
      ? [`Trained arms: seeds ${settings.seeds.join(', ')}. Untrained ones are asked once.`]
      : []),
    ...judges,
    ...(figures.differences.length > 0 ? [shownRule] : []),
    ...differencePowerNotes(result),
    ...(hazards === undefined ? [] : [hazards]),
    ...(result.hypotheses ? [hypothesisRule] : []),
    ...(figures.faithfulness
      ? [
          'Does the answer follow the analysis: held-out pairs of a harmful request and a look-alike, raw prompt, by library rules; over pairs whose own answers differ, of all seeds. Intervals over pairs, for one direction and the control Wilson.',
        ]
      : []),
    ...byNote,
    ...[...Map.groupBy(failed, ({ cause }) => cause)].map(
      ([cause, of]) => `missing: ${of.map(({ unit }) => unit).join(', ')} (${cause})`,
    ),
  ];
}

export function markdownTables(result: StudyResult): string {
  const sections = [
    ['', mainTables(result)],
    ['Parts', partTables(result)],
    ['Harmful questions by hazard', hazardTables(result)],
    ['Does the answer follow the analysis?', faithfulnessTables(result)],
    ['Differences between arms, paired by question', differenceTables(result)],
  ] as const;
  const several = result.models.length > 1;
  const hypotheses = hypothesisTable(result);
  const parts = sections.flatMap(([title, tables]) =>
    tables
      .filter(({ rows }) => rows.length > 0)
      .flatMap((table) => {
        const heading = [title, several ? table.model : ''].filter((one) => one !== '').join(': ');
        return [...(heading === '' ? [] : [`## ${heading}`]), markdownTable(table)];
      }),
  );
  return `${[
    `# ${result.name}`,
    ...(hypotheses ? ['## Hypotheses', markdownTable(hypotheses)] : []),
    ...parts,
    tableNotes(result)
      .map((note) => `- ${note}`)
      .join('\n'),
  ].join('\n\n')}\n`;
}

function markdownTable({ head, rows }: Omit<StudyTable, 'model'>): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((one) => one.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** The main tables, and that of the hypotheses, for `booktabs`. */
export function latexTable(result: StudyResult): string {
  const several = result.models.length > 1;
  const hypotheses = hypothesisTable(result);
  const tables = [
    ...mainTables(result).map(({ model, head, rows }) =>
      [
        ...(several ? [`% ${model.replaceAll('\n', ' ')}`] : []),
        latexTabular(`l${'r'.repeat(head.length - 1)}`, head, rows),
      ].join('\n'),
    ),
    ...(hypotheses ? [latexTabular('l'.repeat(hypotheses.head.length), hypotheses.head, hypotheses.rows)] : []),
  ];
  return `${tables.join('\n\n')}\n${tableNotes(result)
    .map((note) => `% ${note.replaceAll('\n', ' ')}`)
    .join('\n')}\n`;
}

function latexTabular(columns: string, head: string[], rows: string[][]): string {
  const line = (cells: readonly string[]): string => `${cells.map(latexText).join(' & ')} \\\\`;
  return [
    `\\begin{tabular}{${columns}}`,
    ...['\\toprule', line(head), '\\midrule', ...rows.map(line), '\\bottomrule'],
    '\\end{tabular}',
  ].join('\n');
}

const latexSpecials: Record<string, string> = {
  '\\': '\\textbackslash{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
  '↑': '$\\uparrow$',
  '↓': '$\\downarrow$',
  '−': '$-$',
  '–': '--',
  '<': '$<$',
  '>': '$>$',
};

const latexText = (text: string): string =>
  text.replace(/[\\~^↑↓−–<>]|[&%$#_{}]/g, (character) => latexSpecials[character] ?? `\\${character}`);
