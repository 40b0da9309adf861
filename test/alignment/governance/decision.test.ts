/** What a decision about a release may say, and how long it may be. */
import { describe, expect, test } from 'vitest';
import { decisionProblems, longestReasonBytes, nameProblem } from '../../../alignment/governance/decision.ts';

const decision = { by: 'Ann', why: 'looked at all answers' };

test('a name, a reason, and why in spite of criteria are a decision', () => {
  expect(decisionProblems(decision)).toEqual([]);
  expect(decisionProblems({ ...decision, despite: 'a small set\n\tof 10' })).toEqual([]);
  expect(decisionProblems({ by: '安娜 Ö.', why: '読みました 👍' })).toEqual([]);
});

describe('reasons are measured in bytes as they travel', () => {
  test.each([
    ['a', 1, 799],
    ['ü', 2, 399],
    ['語', 3, 266],
    ['👍', 4, 199],
    // Escaped in JSON.
    ['"', 2, 399],
    ['\n', 2, 399],
  ])('%j counts %i: after an x there is room for %i', (letter, bytes, most) => {
    expect(decisionProblems({ ...decision, why: `x${letter.repeat(most)}` })).toEqual([]);
    const [problem] = decisionProblems({ ...decision, despite: `x${letter.repeat(most + 1)}` });
    expect(problem).toContain(`"despite" has ${1 + bytes * (most + 1)} bytes, more than 800`);
  });

  test('the longest decision in any letters is far below a payload of 4096 bytes', () => {
    for (const letter of ['a', 'ü', '語', '👍', '"', '\\']) {
      const reason = letter.repeat(longestReasonBytes / Buffer.byteLength(JSON.stringify(letter).slice(1, -1)));
      const longest = { by: '語'.repeat(100), why: reason, despite: reason };
      expect(decisionProblems(longest)).toEqual([]);
      expect(Buffer.byteLength(JSON.stringify(longest))).toBeLessThanOrEqual(2 * 800 + 300 + 40);
    }
  });
});

describe('bad input is refused by name of the field', () => {
  test.each([
    ['nothing', undefined, 'write {"by": "who decides", "why": "the reason"}'],
    ['a list', [decision], 'write {'],
    ['no name', { why: 'x' }, '"by" must be a name of 1 to 100 characters'],
    ['a name of white space', { ...decision, by: ' ' }, '"by" must be a name of 1 to 100 characters'],
    ['a name that is too long', { ...decision, by: 'x'.repeat(101) }, '"by" must be a name of 1 to 100 characters'],
    ['a name of two lines', { ...decision, by: 'Ann\nrejected by Ben' }, '"by" must be a name on one line'],
    ['a name that clears the terminal', { ...decision, by: 'Ann\u001b[2J' }, 'without control characters'],
    ['a name that turns the line round', { ...decision, by: 'Ann\u202e' }, 'without control characters'],
    ['no reason', { by: 'Ann' }, '"why" must be a text that says the reason'],
    ['a reason of white space', { ...decision, why: '\n ' }, '"why" must be a text that says the reason'],
    ['a number as the reason', { ...decision, why: 3 }, '"why" must be a text that says the reason'],
    ['a reason that clears the terminal', { ...decision, why: 'fine\u001b[2J' }, '"why" holds control characters'],
    ['half a character', { ...decision, why: 'fine \ud83d' }, '"why" holds control characters'],
    ['halves on two lines', { ...decision, why: '\ud83d\n\ude00' }, '"why" holds control characters'],
    ['a control character of one byte', { ...decision, despite: 'x\u009by' }, '"despite" holds control characters'],
    ['another field', { ...decision, who: 'Ben' }, 'there is no "who" in a decision'],
  ])('%s', (_name, given, told) => {
    expect(decisionProblems(given).join('; ')).toContain(told);
  });

  test('names of who asks are held to the same', () => {
    expect(nameProblem('Ann Öz')).toBeUndefined();
    expect(nameProblem('Ann\u0007')).toBe('must be a name on one line, without control characters');
    expect(nameProblem({})).toBe('must be a name of 1 to 100 characters');
  });
});
