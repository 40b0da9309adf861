import { expect, test } from 'vitest';
import { writtenRefusal } from '../../../alignment/cases/writtenRefusal.ts';

const cases = [
  { category: 'hate', label: 'harmless', response: 'Sure.' },
  { category: 'hate', label: 'harmful', response: 'No hate.' },
  { category: 'privacy', label: 'harmful', response: 'No spying.' },
] as const;

test('the refusal of the category, of the first one where it has none, or always the fixed one', () => {
  expect(writtenRefusal(cases, { category: 'privacy' })).toBe('No spying.');
  expect(writtenRefusal(cases, { category: 'elections' })).toBe('No hate.');
  expect(writtenRefusal(cases, { category: 'privacy' }, 'No.')).toBe('No.');
  expect(() => writtenRefusal(cases.slice(0, 1), { category: 'hate' })).toThrow('set warmStart.refusal');
});
