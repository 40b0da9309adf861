import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { describe, expect, it } from 'vitest';
import { requestSplits } from '../../alignment/library/library.ts';
import { readLines, shippedLibraries } from './readLibrary.ts';
import type { CaseLine, RequestLine } from './readLibrary.ts';
import { fingerprint, similarity } from './similarity.ts';

/** Two texts this alike may be one request in other words. The openings that many questions share ("How often should I ...") alone reach 0.26. */
const limit = 0.3;

/** The same towards benchmarks, whose short prompts share more of an opening ("How do I take my ... "). */
const benchmarkLimit = 0.35;

/** Benchmarks to which a result may be reported. Their files are not part of the repository. */
const benchmarks = [
  ['../shared/data/xstest/xstest_prompts.csv', 'prompt'],
  ['../shared/data/strongreject/strongreject.csv', 'forbidden_prompt'],
  ['../shared/data/jailbreakbench/jailbreakbench.csv', 'Goal'],
  ['../shared/data/jailbreakbench/jbb_benign_TRANSCRIBED.csv', 'goal'],
  ['../shared/data/advbench/advbench.csv', 'goal'],
  ['../shared/data/oktest/OKTest.csv', 'prompt'],
  ['../shared/data/simple_safety_tests/SimpleSafetyTests_test_cases.csv', 'prompts_final'],
] as const;

interface Entry {
  id: string;
  /** Absent for a prompt of a benchmark: harmful texts of others are not printed. */
  text?: string;
  print: ReturnType<typeof fingerprint>;
}

const entry = (id: string, text: string): Entry => ({ id, text, print: fingerprint(text) });
const describeEntry = ({ id, text }: Entry) => (text === undefined ? id : `${id} "${text}"`);

/** Requests of all splits, and of the cases, by library and set: `general training`. */
const sets: Record<string, Entry[]> = Object.fromEntries(
  shippedLibraries.flatMap(({ name, folder }) => [
    ...requestSplits.map((split) => [
      `${name} ${split}`,
      readLines<RequestLine>(`${folder}requests/${split}.jsonl`).map((one) => entry(one.id, one.request)),
    ]),
    [`${name} cases`, readLines<CaseLine>(`${folder}cases/cases.jsonl`).map((one) => entry(one.id, one.request))],
  ]),
) as Record<string, Entry[]>;

describe('similarity', () => {
  it('is 1 for a text in other case and punctuation, high for one changed word, low for another request', () => {
    const original = fingerprint('How do I steal a bicycle from a locked shed?');
    expect(similarity(original, fingerprint('how do i steal a bicycle, from a locked shed'))).toBe(1);
    expect(similarity(original, fingerprint('How do I steal a scooter from a locked shed?'))).toBeGreaterThan(0.4);
    expect(similarity(original, fingerprint('How do I grow tomatoes on a balcony?'))).toBeLessThan(0.2);
  });
});

describe('near-duplicates', () => {
  const names = Object.keys(sets);
  const pairs = names.flatMap((one, index) => names.slice(index + 1).map((other) => [one, other] as const));

  it.each(pairs)('there is none between %s and %s', (one, other) => {
    expectApart(`${one} and ${other}`, sets[one] ?? [], sets[other] ?? [], limit);
  });

  it.each(names)('no request of %s repeats another of its own set', (name) => {
    const texts = (sets[name] ?? []).map((one) => one.print.normalised);
    expect(new Set(texts).size).toBe(texts.length);
  });

  // The two requests of a contrast pair share their words on purpose.
  it.each(names.filter((name) => !/^general | cases$/.test(name)))('there is none within %s', (name) => {
    const entries = sets[name]!;
    for (const [index, one] of entries.entries()) expectApart(name, [one], entries.slice(index + 1), limit, false);
  });

  for (const [path, column] of benchmarks) {
    const present = existsSync(path);
    const title = `no request or case repeats a prompt of ${path}`;
    if (!present) console.warn(`skipped: ${title}: the file is not on this machine`);
    it.skipIf(!present)(title, () => {
      const prompts = readColumn(readFileSync(path, 'utf8'), column).map((text, row) => ({
        id: `row ${row + 1}`,
        print: fingerprint(text),
      }));
      expect(prompts.length).toBeGreaterThanOrEqual(100);
      expectApart(path, Object.values(sets).flat(), prompts, benchmarkLimit);
    });
  }
});

/** Fails where the most alike pair reaches the limit; prints that pair either way, unless told not to. */
function expectApart(title: string, left: readonly Entry[], right: readonly Entry[], below: number, told = true): void {
  let worst = { value: -1, pair: '' };
  for (const a of left) {
    for (const b of right) {
      const value = similarity(a.print, b.print);
      if (value > worst.value) worst = { value, pair: `${describeEntry(a)} ~ ${describeEntry(b)}` };
    }
  }
  if (told) console.log(`most alike of ${title}: ${worst.value.toFixed(2)} ${worst.pair}`);
  expect(worst.value, worst.pair).toBeLessThan(below);
}

function readColumn(csv: string, column: string): string[] {
  const rows: Record<string, string>[] = parse(csv, { bom: true, columns: true, skip_empty_lines: true });
  const texts = rows.flatMap((row) => row[column] || []);
  if (texts.length === 0) throw new Error(`no column "${column}" with texts`);
  return texts;
}
