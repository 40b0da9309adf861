import { expect, test } from 'vitest';
import { median, resultOf, resultTable } from './figures.ts';
import type { RowDescription } from './figures.ts';

const row: RowDescription = {
  name: 'row',
  about: 'a row',
  unit: 'tokens/s',
  target: { of: 'ratio', comparison: '>=', value: 2.4, accepted: 2.2 },
};

test('medians, their ratio, and the range of the ratios run by run', () => {
  expect(resultOf(row, { ours: [200, 260, 230], peer: [100, 100, 92] })).toMatchObject({
    ...{ ours: 230, peer: 100, ratio: 2.3, target: 2.4, accepted: 2.2, met: 'accepted', runs: 3 },
    spread: { ours: [200, 260], peer: [92, 100], ratio: [2, 2.6] },
  });
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

test('a limit for our own figure is kept without a peer, and a ratio is not known without one', () => {
  const limit: RowDescription = { ...row, unit: 's', target: { of: 'ours', comparison: '<=', value: 3 } };
  expect(resultOf(limit, { ours: [3.5, 2, 2.5] })).toMatchObject({ ours: 2.5, ratio: null, met: 'yes' });
  expect(resultOf(limit, { ours: [3.1] }).met).toBe('no');
  expect(resultOf(row, { ours: [230] })).toMatchObject({ ours: 230, peer: null, ratio: null, met: null });
});

test('a row that could not be measured says why below the table', () => {
  const text = resultTable([resultOf(row, 'no such option'), resultOf(row, { ours: [250], peer: [100] })]);
  expect(text).toContain('row: no such option');
  expect(text).toContain('not measured');
  expect(text).toMatch(/250 +│ +100 │ tokens\/s │ +2\.50 │ 2\.50 to 2\.50 │ >= 2\.4 \(2\.2\) │ yes/);
});
