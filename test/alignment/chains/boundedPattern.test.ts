import { describe, expect, it } from 'vitest';
import { backtrackingProblem, boundedExec, PatternTooSlow } from '../../../alignment/chains/boundedPattern.ts';

describe('backtrackingProblem', () => {
  it.each([
    '(a+)+',
    '(a|b)*',
    '(?:x(?<analysis>.*)y){2,}',
    '((a)*b)*',
    '(?:a{2,}b)+',
    '(?:(?:a|b)c){1,9}',
    '(?=(a+)+)',
    '([(]a*)*',
    '(\\(a*)*',
  ])('refuses %s', (expression) => {
    expect(backtrackingProblem(expression)).toContain('repeats a group');
  });

  it.each(['(a)\\1', '(?<x>a)\\k<x>'])('refuses %s', (expression) => {
    expect(backtrackingProblem(expression)).toContain('refers back');
  });

  it.each([
    '<why>(?<analysis>.*?)</why>\\s*(?<response>.*)',
    '(?:Why|Reason): (?<analysis>[^\\n]+)\\n(?<response>.+)',
    '(ab)+(c{3})?',
    '(?:a+)?b',
    '(?:a+){1}',
    '[(a+)+]',
    '\\(a+\\)+',
    'a|b+',
    '[\\]*](x)*',
    '\\\\[1+](x)+',
  ])('lets %s be', (expression) => {
    new RegExp(expression, 'su');
    expect(backtrackingProblem(expression)).toBeUndefined();
  });
});

describe('boundedExec', () => {
  it('answers as the expression does', () => {
    expect(boundedExec(/^(?<a>.)b$/su, 'xb')?.groups?.['a']).toBe('x');
    expect(boundedExec(/^b$/su, 'xb')).toBeNull();
  });

  it('ends an expression that would take years, with an error and not as a text that does not match', () => {
    const text = `${'a'.repeat(60)}!`;
    expect(() => boundedExec(/^(a+)+$/su, text, 50)).toThrow(PatternTooSlow);
    expect(() => boundedExec(/^(a+)+$/su, text, 50)).toThrow(/50 ms for a chain of 61 characters/);
    // And the next one is bounded by itself.
    expect(boundedExec(/a/u, 'a')?.[0]).toBe('a');
  });
});
