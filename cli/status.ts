/** What is known of a run, in the shape that scripts read (`cada status --json`) and in words. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runFolders } from '../infra/paths.ts';
import type { ProgressSnapshot } from './progress/snapshot.ts';
import { describeState, describeWork, duration, firstLine, formatFigure } from './progress/wording.ts';
import { escapeForTerminal } from '../infra/logging/escape.ts';
import type { CourseChange, RunRecord, RunState } from '../activities/types.ts';
import type { ToldRelease } from './operate/release.ts';
import { describeRelease } from './release.ts';
import { inStageOrder } from './stageOrder.ts';
import { plainTable } from './terminal.ts';

type Figures = Record<string, number>;

/** `cada status --json`: the keys are fixed, scripts depend on them. */
export interface StatusJson {
  runId: string;
  state: 'running' | 'paused' | 'waiting' | 'done' | 'failed';
  iteration: number;
  iterations: number;
  /** Of the bytes of `adapter_model.safetensors`; null while there is none. */
  adapter: { sha256: string; path: string } | null;
  /** Path or address of the report; null while there is none. */
  report: string | null;
  wallSeconds: Figures;
  before: Figures | null;
  after: Figures | null;
  peakMemoryBytes: Figures;
  /** Only where the configuration has a section `release`, and the run has come so far. */
  release?: ToldRelease;
}

/** Scripts know five states. */
export function stateForScripts(state: RunState): StatusJson['state'] {
  if (state === 'stopped') return 'done';
  if (state === 'cancelled') return 'failed';
  return state === 'awaiting approval' ? 'waiting' : state;
}

/** @param delivered files of the run that were written to CADA_HOME already; they are named rather than the store's objects. */
export function statusOf(record: RunRecord, delivered: { report?: string; adapter?: string } = {}): StatusJson {
  const { policy, report, evaluations } = record;
  return {
    runId: record.runId,
    state: stateForScripts(record.state),
    iteration: record.iteration,
    iterations: record.iterations,
    adapter: policy?.adapter
      ? { sha256: policy.adapter.sha256, path: delivered.adapter ?? placeOf(policy.adapter.uri) }
      : null,
    report: delivered.report ?? (report ? placeOf(report.uri) : null),
    wallSeconds: Object.fromEntries(inStageOrder(record.wallSeconds)),
    before: evaluations['before']?.figures ?? null,
    after: evaluations['after']?.figures ?? null,
    peakMemoryBytes: record.peakMemoryBytes,
  };
}

/** What was written to the run's folder before, without looking into the store. */
export function deliveredBefore(home: string, runId: string): { report?: string; adapter?: string } {
  const { root } = runFolders(home, runId);
  const report = join(root, 'report.html');
  // Where every weight was trained there is no adapter: the merged folder holds the weights.
  const adapter = [join('adapter', 'adapter_model.safetensors'), join('merged', 'model.safetensors')]
    .map((path) => join(root, path))
    .find((path) => existsSync(path));
  return { ...(existsSync(report) ? { report } : {}), ...(adapter ? { adapter } : {}) };
}

/** The same in words, with the live progress where the run's server is up. */
export function describeStatus(
  record: RunRecord,
  status: StatusJson,
  live?: ProgressSnapshot,
  course: readonly Pick<CourseChange, 'told' | 'by'>[] = [],
): string {
  const lines = [`run        ${status.runId}`];
  const state = live ? (describeState(live) ?? `running: ${describeWork(live)}`) : stateInWords(record);
  lines.push(`state      ${state}`, `iteration  ${status.iteration} of ${status.iterations}`);
  if (status.adapter) lines.push(`adapter    ${status.adapter.path}`, `           sha256 ${status.adapter.sha256}`);
  if (status.report) lines.push(`report     ${status.report}`);
  if (status.release) lines.push(describeRelease(status.release));
  const stages = inStageOrder(status.wallSeconds);
  if (stages.length > 0)
    lines.push(
      '',
      plainTable(
        ['stage', 'time'],
        stages.map(([stage, seconds]) => [stage, duration(seconds)]),
        [1],
      ),
    );
  const figures = figuresTable(status);
  if (figures) lines.push('', figures);
  if (course.length > 0) lines.push('', ...course.map(({ by, told }) => `${by}: ${escapeForTerminal(told)}`));
  for (const note of live?.notes ?? []) lines.push('', note);
  // Causes and notes may quote what a model wrote.
  return escapeForTerminal(lines.join('\n'));
}

function stateInWords({ state, stage, cause }: RunRecord): string {
  if (state === 'running' || state === 'paused')
    return `${state === 'running' ? 'not finished' : 'paused'}, last seen at stage "${stage}" (its server is not up: \`cada train --resume\` goes on)`;
  const told = `${state}${cause ? `: ${firstLine(cause)}` : ''}`;
  return state === 'awaiting approval' ? `${told} (its server is not up: \`cada train --resume\` goes on)` : told;
}

function figuresTable({ before, after }: StatusJson): string | undefined {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  if (names.length === 0) return undefined;
  const cell = (figures: Figures | null, name: string): string => {
    const value = figures?.[name];
    return value === undefined ? '–' : formatFigure(value);
  };
  const table = plainTable(
    ['figure', 'before', 'after'],
    names.map((name) => [name, cell(before, name), cell(after, name)]),
    [1, 2],
  );
  return `${table}\n95 % intervals, judges and changes: \`cada report\``;
}

/** A folder store's objects are files: their path says more than their address. */
const placeOf = (uri: string): string => (uri.startsWith('file://') ? fileURLToPath(uri) : uri);
