import { expect, test } from 'vitest';
import { bytes, duration } from '../../../alignment/report/format.ts';

test.each([
  [0, '0.0 s'],
  [59.94, '59.9 s'],
  [59.96, '1 min 0 s'],
  [119.4, '1 min 59 s'],
  [119.7, '2 min 0 s'],
  [3599.7, '1 h 0 min'],
  [7260, '2 h 1 min'],
])('%d seconds: %s', (seconds, said) => {
  expect(duration(seconds)).toBe(said);
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [2.5e9, '2.5 GB'],
])('%d bytes: %s', (value, said) => {
  expect(bytes(value)).toBe(said);
});
