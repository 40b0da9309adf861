/** The last words of a run: what it has learnt, how long it took, where the results are, what to do next. */
import prettyBytes from 'pretty-bytes';
import type { Headline } from '../alignment/evaluation/comparison.ts';
import type { DeliveredFiles, RunSummary } from './operations.ts';
import { duration } from './progress/wording.ts';
import { describeRelease } from './release.ts';
import { inStageOrder } from './stageOrder.ts';
import { escapeForTerminal } from '../infra/logging/escape.ts';
import { plainTable } from './terminal.ts';

export interface SummaryContext {
  runId: string;
  /** How the reader calls this program: `cada`, `npx cada`. */
  command: string;
  /** Since this command started. */
  elapsedSeconds: number;
  /** The run ended with an earlier command; this one found it. */
  foundDone: boolean;
  stopped: boolean;
}

export function describeSummary(summary: RunSummary, files: DeliveredFiles, context: SummaryContext): string {
  return [
    learningTable(summary),
    headlineLines(summary.headlines),
    summary.release ? describeRelease(summary.release) : '',
    timeTable(summary, context),
    resultLines(summary, files),
    nextCommands(summary, context),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

const learningRows: [label: string, figure: string][] = [
  ['chains with both parts', 'format'],
  ['refused: harmful', 'refusal/harmful'],
  ['refused: plain harmless', 'refusal/plain'],
  ['refused: look-alike harmless', 'refusal/look-alike'],
  ['mean reward', 'reward'],
];

/** One row a figure, one column an evaluation. */
function learningTable({ evaluations, split }: RunSummary): string {
  const rows = learningRows
    .filter(([, figure]) => evaluations.some(({ figures }) => figures[figure] !== undefined))
    .map(([label, figure]) => [label, ...evaluations.map((evaluation) => cellOf(evaluation, figure))]);
  if (rows.length === 0) return '';
  const requests = evaluations[0]?.figures['chains'];
  const which = split === 'heldOut' ? 'held-out' : split;
  const title = `${requests === undefined ? '' : `${requests} `}${which} requests, raw prompt, greedy; refusals by the rules of the library, 95 % intervals`;
  return `${title}\n${plainTable(
    ['', ...evaluations.map(({ name }) => name)],
    rows,
    evaluations.map((_, index) => index + 1),
  )}`;
}

function cellOf({ figures, rates }: RunSummary['evaluations'][number], figure: string): string {
  const value = figures[figure]?.toFixed(2) ?? '–';
  const rate = rates?.[figure];
  return rate ? `${value} [${rate.interval.map((end) => end.toFixed(2)).join(', ')}]` : value;
}

/** Those with something to reach; the report has the others. */
function headlineLines(headlines: readonly Headline[]): string {
  return headlines
    .filter(({ target }) => target !== null)
    .map(({ met, text, value, interval, target }) => {
      if (met === null) return `${text}\n  not measured, to reach: ${target}`;
      const range = interval ? ` (95 % interval ${interval.map((end) => end.toFixed(2)).join(' to ')})` : '';
      return `${text}\n  ${met ? 'met' : 'not met'}: ${value?.toFixed(2) ?? '–'}${range}, to reach: ${target}`;
    })
    .join('\n');
}

function timeTable({ planned, spent, peakMemoryBytes }: RunSummary, context: SummaryContext): string {
  const plannedSeconds = Object.fromEntries(planned.map(({ stage, seconds }) => [stage, seconds]));
  const stages = inStageOrder({ ...plannedSeconds, ...spent }).map(([stage]) => stage);
  const cell = (seconds: number | undefined): string => (seconds === undefined ? '–' : duration(seconds));
  const sum = (times: Record<string, number>): number => Object.values(times).reduce((all, one) => all + one, 0);
  const rows = stages.map((stage) => [stage, cell(plannedSeconds[stage]), cell(spent[stage])]);
  rows.push(['all stages', duration(sum(plannedSeconds)), duration(sum(spent))]);
  const took = context.foundDone
    ? `Every stage was found done, in ${duration(context.elapsedSeconds)}.`
    : `This command took ${duration(context.elapsedSeconds)}.`;
  const memory = inStageOrder(peakMemoryBytes).map(([process, bytes]) => `${process} ${prettyBytes(bytes)}`);
  return [
    plainTable(['stage', 'planned', 'spent'], rows, [1, 2]),
    ...(memory.length > 0 ? [`peak memory: ${memory.join(', ')}`] : []),
    took,
  ].join('\n');
}

function resultLines({ adapterSha256, modelNotes = [] }: RunSummary, files: DeliveredFiles): string {
  const lines = modelNotes.map((note) => `note     ${escapeForTerminal(note)}`);
  if (files.report) lines.push(`report   ${files.report}`);
  if (files.adapter) lines.push(`adapter  ${files.adapter}`);
  if (adapterSha256) lines.push(`         sha256 ${adapterSha256}`);
  if (files.merged) lines.push(`merged   ${files.merged}`);
  return lines.join('\n');
}

function nextCommands({ iterations }: RunSummary, { command, runId, stopped }: SummaryContext): string {
  const next: [string, string][] = [
    [`${command} report --open`, 'the report in the browser'],
    [`${command} ask ${runId} "..."`, 'base and aligned model'],
    [`${command} chains --iteration ${iterations === 0 ? 'warmStart' : iterations}`, 'chains with their rewards'],
    [`${command} ui`, 'the history in the Temporal UI'],
  ];
  const width = Math.max(...next.map(([text]) => text.length));
  const title = stopped ? 'The run was stopped by its operator. Next:' : 'Next:';
  return [title, ...next.map(([text, what]) => `  ${text.padEnd(width)}  ${what}`)].join('\n');
}
