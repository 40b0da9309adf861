import { describe, expect, it } from 'vitest';
import {
  answersExactly,
  extractLetter,
  extractNumber,
  goldNumber,
} from '../../../alignment/evaluation/exactAnswers.ts';

describe('extractNumber', () => {
  it.each([
    ['She makes $18 every day.\n#### 18', 18],
    ['so 3 + 4 = 7, thus the total is 1,234.50 dollars', 1234.5],
    ['#### $2,000', 2000],
    ['first #### 3 then\n#### -4 apples of 9', -4],
    ['The answer is 12.', 12],
    ['it is .5', 0.5],
    ['10 of 12 are left ####', 12],
  ])('%j gives %d', (answer, value) => expect(extractNumber(answer)).toBe(value));

  it('is nothing without a number, and strictly nothing without ####', () => {
    expect(extractNumber('many')).toBeUndefined();
    expect(extractNumber('it is 7', true)).toBeUndefined();
    expect(goldNumber('so\n#### 1,050')).toBe(1050);
  });
});

describe('extractLetter', () => {
  it.each([
    ['B', 'B'],
    [' (C) because it is', 'C'],
    ['**D**', 'D'],
    ['The answer is (A).', 'A'],
    ['A. 24', 'A'],
    ['First I thought B, but the correct answer is C', 'C'],
    ['It must be D here', 'D'],
    ['answer: b', 'B'],
  ])('%j gives %s', (answer, letter) => expect(extractLetter(answer)).toBe(letter));

  it.each(['', 'A cat sat on it', 'Between B and C', 'Because', 'Dogs', 'E'])('%j gives none', (answer) =>
    expect(extractLetter(answer)).toBeUndefined(),
  );
});

describe('answersExactly', () => {
  it('compares what is announced, the last line, or the whole', () => {
    expect(answersExactly('Let us see.\nThe answer is (B).', '(B)')).toBe(true);
    expect(answersExactly('so the answer is: False', 'false')).toBe(true);
    expect(answersExactly('Hmm\nTrue', 'True')).toBe(true);
    expect(answersExactly('The answer is True.', 'False')).toBe(false);
    expect(answersExactly('not False', 'False')).toBe(false);
  });
});
