/** Where a graph's time goes: ONNX Runtime's profile (a chrome trace; `SessionSettings.profilePrefix`) summed up by kind of operator. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** An entry of the trace: time and duration in microseconds. */
export interface TraceEvent {
  cat: string;
  name: string;
  ts?: number;
  dur?: number;
  args?: { op_name?: string };
}

export interface OperatorTime {
  /** Kind of operator, ONNX Runtime's name. */
  kind: string;
  calls: number;
  milliseconds: number;
  meanMicroseconds: number;
  /** Of the time of all operators. */
  share: number;
}

export interface Profile {
  /** Runs of the graph that were summed. */
  runs: number;
  /** From the beginnings to the ends of these runs; what no operator accounts for is ONNX Runtime's own. */
  milliseconds: number;
  /** The longest in sum first. */
  operators: OperatorTime[];
}

/**
 * Sums the time of operators by their kind, without the first `skip` runs. An operator that holds a sub-graph (If, Loop) counts without what is
 * inside: that counts for its own kinds.
 */
export function summariseProfile(events: readonly TraceEvent[], skip = 0): Profile {
  const spans = events.flatMap(({ cat, name, ts, dur, args }) =>
    ts === undefined || dur === undefined ? [] : [{ cat, name, start: ts, end: ts + dur, kind: args?.op_name }],
  );
  const runs = spans
    .filter(({ cat, name }) => cat === 'Session' && name === 'model_run')
    .sort((a, b) => a.start - b.start)
    .slice(skip);
  const inRuns = (start: number) => runs.some((run) => start >= run.start && start < run.end);
  const kernels = spans
    .filter(({ cat, name, start, kind }) => cat === 'Node' && kind && name.endsWith('_kernel_time') && inRuns(start))
    // Of two that begin together the longer holds the other.
    .sort((a, b) => a.start - b.start || b.end - a.end);

  const sums = new Map<string, { calls: number; microseconds: number }>();
  const holding: { kind: string; end: number }[] = [];
  const add = (kind: string, calls: number, microseconds: number) => {
    const sum = sums.get(kind) ?? { calls: 0, microseconds: 0 };
    sums.set(kind, { calls: sum.calls + calls, microseconds: sum.microseconds + microseconds });
  };
  for (const { start, end, kind } of kernels) {
    while (holding.length > 0 && holding.at(-1)!.end <= start) holding.pop();
    const outer = holding.at(-1);
    if (outer) add(outer.kind, 0, start - end);
    add(kind!, 1, end - start);
    holding.push({ kind: kind!, end });
  }

  const total = [...sums.values()].reduce((sum, { microseconds }) => sum + microseconds, 0);
  const operators = [...sums].map(([kind, { calls, microseconds }]) => ({
    kind,
    calls,
    milliseconds: microseconds / 1000,
    meanMicroseconds: microseconds / calls,
    share: total === 0 ? 0 : microseconds / total,
  }));
  return {
    runs: runs.length,
    milliseconds: runs.reduce((sum, { start, end }) => sum + end - start, 0) / 1000,
    operators: operators.sort((a, b) => b.milliseconds - a.milliseconds),
  };
}

/** Reads the one trace that a released session wrote under a prefix, and removes the file. Throws if there is none. */
export async function readProfile(prefix: string): Promise<TraceEvent[]> {
  const folder = dirname(prefix);
  const name = (await readdir(folder)).find((file) => file.startsWith(`${basename(prefix)}_`));
  if (name === undefined) throw new Error(`ONNX Runtime wrote no profile ${prefix}_*.json: was the session released?`);
  const path = join(folder, name);
  const events = JSON.parse(await readFile(path, 'utf8')) as TraceEvent[];
  await rm(path);
  return events;
}
