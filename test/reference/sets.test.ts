import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { casesOf, GOLDEN_DIR, goldenSets } from './golden.ts';

describe('the sets of reference numbers', () => {
  it('the folder that GOLDEN_DIR names is there, with cases in it', () => {
    if (process.env['GOLDEN_DIR']) {
      expect(existsSync(GOLDEN_DIR), `GOLDEN_DIR is ${GOLDEN_DIR}, where there is no folder`).toBe(true);
      expect(
        casesOf({ name: 'given', folder: GOLDEN_DIR }),
        `no <section>/<case>/case.json in ${GOLDEN_DIR}`,
      ).not.toEqual([]);
    } else if (!existsSync(GOLDEN_DIR))
      console.warn(`only the committed reference numbers run: there are none at ${GOLDEN_DIR} (set GOLDEN_DIR)`);
  });

  it.each(goldenSets)('every case of the set $name is of a kind that a test here knows', (set) => {
    const unknown = casesOf(set).filter(({ kind }) => kind === undefined);
    expect(
      unknown.map(({ folder }) => folder),
      'cases that no test runs: add their kind to golden.ts and a test for it',
    ).toEqual([]);
  });
});
