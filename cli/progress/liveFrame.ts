/** The lines that a terminal redraws: what the run is doing now. Finished stages are printed above it, once. */
import type picocolors from 'picocolors';
import { escapeForTerminal } from '../../infra/logging/escape.ts';
import type { ProgressSnapshot } from './snapshot.ts';
import { describeState, describeWork, duration } from './wording.ts';
import type { Pace } from './wording.ts';

export interface FrameContext {
  columns: number;
  /** Since the command started. */
  elapsedSeconds: number;
  pace: Pace;
  /** Address of the Temporal UI, where there is one. */
  uiAddress?: string | undefined;
  colors: ReturnType<typeof picocolors.createColors>;
}

export function renderFrame(snapshot: ProgressSnapshot, context: FrameContext): string[] {
  const { colors, columns } = context;
  const fit = (line: string): string => (line.length > columns ? `${line.slice(0, columns - 1)}…` : line);
  const state = describeState(snapshot);
  const lines = [
    state === undefined
      ? colors.bold(fit(describeWork(snapshot, context.pace)))
      : colors.yellow(fit(`${snapshot.stage}  ${state}`)),
  ];
  if (snapshot.shardsTotal > 0)
    lines.push(colors.cyan(bar(snapshot.shardsDone / snapshot.shardsTotal, Math.min(columns - 2, 60))));
  lines.push(...snapshot.notes.map((note) => colors.yellow(fit(`! ${escapeForTerminal(note)}`))));
  const footer = [`run ${snapshot.runId}`, duration(context.elapsedSeconds)];
  // The whole address was printed once; its beginning leads there too.
  if (context.uiAddress) footer.push(`Temporal UI ${new URL(context.uiAddress).origin}`);
  footer.push('Ctrl-C stops');
  lines.push(colors.dim(fit(footer.join(' · '))));
  return lines;
}

function bar(share: number, width: number): string {
  const filled = Math.round(Math.min(Math.max(share, 0), 1) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}
