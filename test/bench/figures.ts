/** What a row of the bench measured, put against its target: numbers, JSON and table. */
import Table from 'cli-table3';

export interface Target {
  /** What must reach the value: ours as a multiple of the peer's figure, or our figure itself. */
  of: 'ratio' | 'ours';
  comparison: '>=' | '<=';
  value: number;
  /** A figure that is good enough, where the target aims higher. */
  accepted?: number;
}

/** One number a run. Runs of ours and of the peer took turns, unless the row's description says otherwise. */
export interface Measurement {
  ours: number[];
  /** Absent: there is no peer, or it is not installed. */
  peer?: number[];
  note?: string;
}

export interface RowDescription {
  name: string;
  about: string;
  unit: string;
  target: Target;
}

type Range = [least: number, most: number];

/** A row as `--out` writes it. Figures are medians. */
export interface BenchResult {
  name: string;
  about: string;
  unit: string;
  ours: number | null;
  peer: number | null;
  ratio: number | null;
  target: number;
  comparison: '>=' | '<=';
  /** Which of the two figures the target is for. */
  compares: 'ratio' | 'ours';
  accepted: number;
  /** Null: not measured. */
  met: 'yes' | 'accepted' | 'no' | null;
  runs: number;
  spread: { ours: Range | null; peer: Range | null; ratio: Range | null };
  note: string | null;
}

/** @param measured a sentence instead, where the row could not be measured */
export function resultOf({ name, about, unit, target }: RowDescription, measured: Measurement | string): BenchResult {
  const { ours, peer, note }: Measurement = typeof measured === 'string' ? { ours: [], note: measured } : measured;
  const ratios = peer ? ours.map((figure, run) => figure / peer[run]!) : [];
  const [oursMiddle, peerMiddle] = [median(ours), median(peer ?? [])];
  const ratio = oursMiddle !== null && peerMiddle !== null ? oursMiddle / peerMiddle : null;
  const { of: compares, comparison, value, accepted = value } = target;
  const figure = compares === 'ratio' ? ratio : oursMiddle;
  const reaches = (bound: number) => figure !== null && (comparison === '>=' ? figure >= bound : figure <= bound);
  return {
    name,
    about,
    unit,
    ours: oursMiddle,
    peer: peerMiddle,
    ratio,
    target: value,
    comparison,
    compares,
    accepted,
    met: figure === null ? null : reaches(value) ? 'yes' : reaches(accepted) ? 'accepted' : 'no',
    runs: ours.length,
    spread: { ours: rangeOf(ours), peer: rangeOf(peer ?? []), ratio: rangeOf(ratios) },
    note: note ?? null,
  };
}

/** Null of nothing. */
export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return null;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

const rangeOf = (values: readonly number[]): Range | null =>
  values.length === 0 ? null : [Math.min(...values), Math.max(...values)];

export function resultTable(results: readonly BenchResult[]): string {
  const table = new Table({
    head: ['row', 'ours', 'peer', 'unit', 'ratio', 'of the runs', 'target', 'met'],
    colAligns: ['left', 'right', 'right', 'left', 'right', 'left', 'left', 'left'],
    style: { head: [], border: [] },
  });
  for (const { name, ours, peer, unit, ratio, spread, comparison, target, accepted, compares, met } of results) {
    const bound = `${comparison} ${target}${compares === 'ours' ? ` ${unit}` : ''}`;
    const range = spread.ratio ?? spread.ours;
    table.push([
      name,
      shown(ours),
      shown(peer),
      unit,
      shown(ratio),
      range ? `${shown(range[0])} to ${shown(range[1])}` : '',
      accepted === target ? bound : `${bound} (${accepted})`,
      met ?? 'not measured',
    ]);
  }
  const notes = results.flatMap(({ name, note }) => (note ? [`${name}: ${note}`] : []));
  return [table.toString(), ...notes].join('\n');
}

/** Three digits, never as a power of ten. */
function shown(value: number | null): string {
  if (value === null) return '–';
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}
