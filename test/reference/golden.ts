/**
 * Reference numbers: folders of cases, made with PyTorch, Transformers, PEFT and TRL. The own set is committed and always runs; the set that
 * GOLDEN_DIR names (else ../shared/golden, if it is there) runs too. Shapes, parameters and names are read from the files: a set may have more
 * cases or fewer, under any names.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { readSafetensors } from '../../engine/formats/safetensors.ts';

/** What a case tests: the folder it lies in, and a key of case.json or an array that only this kind has. */
const KINDS = {
  forward: ['forward', 'logits_f64'],
  gradients: ['gradients', 'completion_mask'],
  lora: ['lora', 'scaling_by_module'],
  policyGradient: ['objectives', 'old_logp'],
  advantages: ['objectives', 'rewards'],
  sft: ['objectives', 'assistant_mask'],
  dpo: ['objectives', 'chosen_logps'],
  kto: ['objectives', 'kl_logps'],
  adamW: ['optimizer', 'hyperparameters'],
  schedules: ['optimizer', 'peak_learning_rate'],
  train: ['train', 'steps'],
  greedy: ['generate', 'with_eos'],
  chats: ['generate', 'chats'],
  strings: ['generate', 'strings'],
  realGreedy: ['generate', 'end_token'],
  ggufDigests: ['gguf', 'gguf_sha256'],
  ggufModel: ['gguf', 'tensor_types'],
  ggufBlocks: ['gguf', 'file'],
  operators: ['operators', 'operators'],
  tokenizers: ['tokenizers', 'encodings'],
} as const;

export type CaseKind = keyof typeof KINDS;

export interface GoldenSet {
  name: string;
  folder: string;
}

/** The folder of GOLDEN_DIR, or where the shared set would lie. */
export const GOLDEN_DIR = process.env['GOLDEN_DIR'] || '../shared/golden';
const OWN_SET: GoldenSet = { name: 'own', folder: join(import.meta.dirname, 'own') };

export const goldenSets: readonly GoldenSet[] = [
  OWN_SET,
  ...(existsSync(GOLDEN_DIR)
    ? [{ name: process.env['GOLDEN_DIR'] ? 'GOLDEN_DIR' : 'shared', folder: GOLDEN_DIR }]
    : []),
];

/** One case folder; `info` is its case.json. */
export interface GoldenCase<T = unknown> {
  /** `<set>: <section>/<name>` */
  label: string;
  /** Undefined for a folder that no test knows what to do with. */
  kind: CaseKind | undefined;
  folder: string;
  info: T;
}

/** Reads arrays of a case by name, as float64. */
export async function goldenArrays({ folder }: Pick<GoldenCase, 'folder'>, file = 'expected.safetensors') {
  const opened = await readSafetensors(join(folder, file));
  return {
    names: [...opened.tensors.keys()],
    shape: (name: string) => opened.tensors.get(name)!.shape,
    read: (name: string) => opened.readFloat64(name),
    close: () => opened.close(),
  };
}

/** Every case of a set: each folder with a case.json, two levels down. */
export function casesOf(set: GoldenSet): GoldenCase[] {
  const foldersIn = (path: string) =>
    readdirSync(path, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort();
  return foldersIn(set.folder).flatMap((section) =>
    foldersIn(join(set.folder, section)).flatMap((name) => {
      const folder = join(set.folder, section, name);
      if (!existsSync(join(folder, 'case.json'))) return [];
      const info = JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')) as Record<string, unknown>;
      return [{ label: `${set.name}: ${section}/${name}`, kind: kindOf(section, info), folder, info }];
    }),
  );
}

function kindOf(section: string, info: Record<string, unknown>): CaseKind | undefined {
  const arrays = Object.values((info['arrays'] ?? {}) as Record<string, object>).flatMap((index) => Object.keys(index));
  const names = new Set([...Object.keys(info), ...arrays]);
  return (Object.keys(KINDS) as CaseKind[]).find((kind) => KINDS[kind][0] === section && names.has(KINDS[kind][1]));
}

const allCases = goldenSets.flatMap(casesOf);

/** Describes a suite for every case of a kind, in every set; where there is none, the suite is skipped, saying so. */
export function describeCases<T>(kind: CaseKind, title: string, suite: (golden: GoldenCase<T>) => void): void {
  const cases = allCases.filter((golden) => golden.kind === kind);
  if (cases.length === 0) {
    console.warn(`skipped: ${title}: no such reference numbers at ${GOLDEN_DIR} (set GOLDEN_DIR)`);
    describe.skip(title, () => it('needs reference numbers', () => undefined));
  }
  for (const golden of cases) describe(`${title}: ${golden.label}`, () => suite(golden as GoldenCase<T>));
}

/** Whether any set has a case of one of these kinds. */
export const hasCases = (...kinds: CaseKind[]) =>
  allCases.some(({ kind }) => kind !== undefined && kinds.includes(kind));

/** max |actual - expected| / max |expected|: the measure of the cases' tolerances. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  const largest = largestOf(expected);
  return largest === 0 ? absoluteError(actual, expected) : absoluteError(actual, expected) / largest;
}

/** max |actual - expected|; infinite where a value is NaN or the numbers of values differ. */
export function absoluteError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0;
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(actual[i]! - expected[i]!);
    if (Number.isNaN(distance)) return Infinity;
    difference = Math.max(difference, distance);
  }
  return difference;
}

/** max |value|, 0 for none. */
export function largestOf(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!));
  return largest;
}
