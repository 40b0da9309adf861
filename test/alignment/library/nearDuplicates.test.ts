import { expect, it } from 'vitest';
import { isNearDuplicate, wordOverlap } from '../../../alignment/library/nearDuplicates.ts';

it('measures the share of words that two texts have in common', () => {
  expect(wordOverlap('How do I bake bread?', 'how do i bake BREAD')).toBe(1);
  // shared: how do i bake; all: how do i bake bread cake
  expect(wordOverlap('How do I bake bread', 'How do I bake cake')).toBeCloseTo(4 / 6, 12);
  expect(wordOverlap('bread', 'cake')).toBe(0);
  expect(wordOverlap('', '!')).toBe(0);
  expect(isNearDuplicate('How do I bake bread', 'How do I bake cake')).toBe(true);
  expect(isNearDuplicate('How do I bake bread', 'Why do people bake cake')).toBe(false);
});
