import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { readSafetensors } from '../../engine/formats/safetensors.ts';

/** Folder of the reference numbers (PyTorch, Transformers, PEFT, TRL on tiny models). */
export const GOLDEN_DIR = process.env['GOLDEN_DIR'] ?? '../shared/golden';

/** A suite that needs the reference numbers; skipped, saying so, where they are absent. */
export const describeGolden = (name: string, suite: () => void) => {
  if (existsSync(GOLDEN_DIR)) return describe(name, suite);
  console.warn(`skipped: ${name}: no reference numbers at ${GOLDEN_DIR} (set GOLDEN_DIR)`);
  // The suite itself reads its case while it is collected.
  return describe.skip(name, () => it('needs the reference numbers', () => undefined));
};

/** case.json of a case, with the type that the test expects. */
export function goldenCase<T>(path: string): T {
  return JSON.parse(readFileSync(join(GOLDEN_DIR, path, 'case.json'), 'utf8')) as T;
}

/** Reads arrays of a case by name, as float64. */
export async function goldenArrays(path: string, file = 'expected.safetensors') {
  const opened = await readSafetensors(join(GOLDEN_DIR, path, file));
  return {
    names: [...opened.tensors.keys()],
    read: (name: string) => opened.readFloat64(name),
    close: () => opened.close(),
  };
}

/** max |actual - expected| / max |expected|: the measure of the cases' tolerances. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
    largest = Math.max(largest, Math.abs(expected[i]!));
    if (Number.isNaN(actual[i])) return Infinity;
  }
  return largest === 0 ? difference : difference / largest;
}

/** max |actual - expected|. */
export function absoluteError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(actual[i]! - expected[i]!);
    difference = Number.isNaN(distance) ? Infinity : Math.max(difference, distance);
  }
  return difference;
}
