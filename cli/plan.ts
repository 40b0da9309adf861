/** What a run will take, in words: `cada plan` and `cada train --plan`. */
import prettyBytes from 'pretty-bytes';
import type { RunEstimate } from '../alignment/plan/estimateRun.ts';
import { measuredRates } from '../alignment/plan/measuredRates.ts';
import { duration } from './progress/wording.ts';
import { plainTable } from './terminal.ts';

export function describePlan(estimate: RunEstimate, runId: string): string {
  const { stages, seconds, diskBytes, memoryBytes, storeBytes, storeRequests } = estimate;
  const count = (number: number): string => (number === 0 ? '' : String(number));
  const rows = stages.map((stage) => [
    stage.stage,
    String(stage.times),
    ...[stage.chains, stage.generatedTokens, stage.trainedTokens].map(count),
    prettyBytes(stage.storeBytes),
    duration(stage.seconds),
  ]);
  return [
    `run ${runId}`,
    '',
    plainTable(
      ['stage', 'times', 'chains', 'tokens written', 'tokens trained', 'store', 'time'],
      rows,
      [1, 2, 3, 4, 5, 6],
    ),
    '',
    `about ${duration(seconds)}, ${prettyBytes(diskBytes)} of disk, ${prettyBytes(memoryBytes)} of memory`,
    `store: ${prettyBytes(storeBytes)}, about ${roughly(storeRequests)} requests`,
    `Temporal: about ${roughly(estimate.temporalActions)} actions, ${estimate.temporalActionsPerIteration} of them an iteration`,
    ...(estimate.judgeCalls > 0 ? [callsLine('judge', estimate.judgeCalls, estimate.judgeCost)] : []),
    ...(estimate.teacherCalls > 0 ? [callsLine('teacher', estimate.teacherCalls, estimate.teacherCost)] : []),
    `(tokens: at most; time and memory: as measured on ${measuredRates.machine})`,
  ].join('\n');
}

function callsLine(whose: 'judge' | 'teacher', calls: number, cost: number | null): string {
  const money =
    cost === null
      ? `${whose}.inputPrice and ${whose}.outputPrice would say what they cost`
      : `at most ${cost.toFixed(2)} in the currency of its prices`;
  return `${whose}: ${calls} calls, ${money}`;
}

/** Two significant digits: these are counted from what each stage does, retries and polling left out. */
const roughly = (number: number): string => String(Number(number.toPrecision(2)));
