import { expect, test } from 'vitest';
import {
  deriveSeed,
  sampleWithout,
  shuffled,
  uniformFromSeed,
  uniformsFromSeed,
} from '../../../infra/artifacts/seeds.ts';

const SEED = deriveSeed('run', 7, 'request-1', 0, 'sample');

test('a seed is the SHA-256 of its parts as JSON', () => {
  expect(SEED).toBe('8c8c7997437149aad06e1f9efd1de65884087ec923a1ce9ebb60552ad34c5d10');
});

test('parts can not run into each other', () => {
  const seeds = [
    deriveSeed('ab'),
    deriveSeed('a', 'b'),
    deriveSeed('a,b'),
    deriveSeed('a"', 'b'),
    deriveSeed('a', '"b'),
    deriveSeed(1),
    deriveSeed('1'),
    deriveSeed(1, 2),
    deriveSeed(12),
    deriveSeed(),
    deriveSeed(''),
  ];
  expect(new Set(seeds).size).toBe(seeds.length);
  expect(() => deriveSeed(NaN)).toThrow('$[0] is NaN');
});

test('uniform numbers have fixed values, the right range and mean', () => {
  expect(uniformFromSeed(SEED)).toBe(0.5490184778495336);
  expect(uniformFromSeed('0'.repeat(64))).toBe(0);
  expect(uniformFromSeed('f'.repeat(64))).toBe(1 - 2 ** -53);
  expect(() => uniformFromSeed('7')).toThrow('"7" is not a seed');
  const next = uniformsFromSeed(SEED);
  const numbers = Array.from({ length: 4000 }, next);
  expect(numbers[1]).toBe(uniformFromSeed(deriveSeed(SEED, 1)));
  expect(Math.abs(numbers.reduce((sum, each) => sum + each, 0) / 4000 - 0.5)).toBeLessThan(0.015);
});

test('shuffling has a fixed result and leaves its input alone', () => {
  const items = [0, 1, 2, 3, 4, 5, 6, 7];
  expect(shuffled(items, SEED)).toEqual([5, 0, 7, 3, 6, 4, 2, 1]);
  expect(items).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(shuffled([], SEED)).toEqual([]);
});

test('every item is equally likely in every place', () => {
  const counts = Array.from({ length: 4 }, () => [0, 0, 0, 0]);
  for (let round = 0; round < 2000; round++) {
    shuffled([0, 1, 2, 3], deriveSeed('round', round)).forEach((item, place) => counts[item]![place]!++);
  }
  for (const count of counts.flat()) expect(Math.abs(count - 500)).toBeLessThan(100); // 5 standard deviations
});

test('sampling without replacement is the beginning of the shuffle', () => {
  const items = 'abcdefgh'.split('');
  expect(sampleWithout(items, 3, SEED)).toEqual(shuffled(items, SEED).slice(0, 3));
  expect(sampleWithout(items, 0, SEED)).toEqual([]);
  expect(() => sampleWithout(items, 9, SEED)).toThrow("can't draw 9 of 8");
  expect(() => sampleWithout(items, 1.5, SEED)).toThrow(RangeError);
});
