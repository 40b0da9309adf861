/** Numbers as the report and the tables print them. */
import type { Rate } from '../evaluation/figures.ts';
import type { Change } from '../evaluation/comparison.ts';
import type { Interval } from '../evaluation/intervals.ts';

export const missing = '–';

export function number(value: number | null | undefined, digits = 2): string {
  return value === null || value === undefined || !Number.isFinite(value) ? missing : value.toFixed(digits);
}

export function signed(value: number | null | undefined, digits = 2): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return missing;
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
}

/** `.83 [.71, .91]` */
export function rate(value: Rate | null): string {
  return value === null ? missing : `${number(value.value)} ${interval(value.interval)}`;
}

/** `+.42 [+.28, +.55]` */
export function change(value: Change | null): string {
  return value === null ? missing : `${signed(value.value)} ${interval(value.interval, signed)}`;
}

export function interval(value: Interval | null, format: (bound: number) => string = number): string {
  return value === null ? '' : `[${format(value[0])}, ${format(value[1])}]`;
}

export const pValue = (p: number): string => (p < 0.001 ? '< .001' : p.toFixed(3));

export function duration(seconds: number): string {
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return `${(value / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

/** `120 questions, 25 % kept, cost 0.42, 1.3 s each`: what a judge behind an endpoint has taken. */
export function judgeUse({
  asked,
  kept,
  cost,
  meanLatencyMs,
}: {
  asked: number;
  kept: number;
  cost: number;
  meanLatencyMs: number;
}): string {
  const all = asked + kept;
  const share = all === 0 ? 0 : Math.round((100 * kept) / all);
  const latency = asked === 0 ? '' : `, ${(meanLatencyMs / 1000).toFixed(1)} s each`;
  return `${all} questions, ${share} % kept, cost ${cost.toFixed(2)}${latency}`;
}
