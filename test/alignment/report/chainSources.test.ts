import { expect, test } from 'vitest';
import { sourceLines } from '../../../alignment/report/chainSources.ts';

test('a policy that wrote its own chains is not spoken of', () => {
  expect(sourceLines({ 'warm_start/kept': 4 })).toEqual([]);
});

test('tells what a teacher has been asked and has cost', () => {
  const figures = { 'teacher/asked': 12, 'teacher/kept': 3, 'teacher/unanswered': 1, 'teacher/cost': 0.01234 };
  expect(sourceLines({ ...figures, 'teacher/mean_latency_ms': 1_234 })).toEqual([
    'A teacher was asked 12 questions; 3 more were answered from the store, 1 were not answered. Mean latency 1.2 s, cost 0.0123 by its prices.',
  ]);
});

test('tells what a deliberation has come to', () => {
  const shares = { 'deliberation/with_intents': 1, 'deliberation/revised': 0.5, 'deliberation/agreed': 0.25 };
  expect(sourceLines({ 'deliberation/rounds': 2, ...shares, 'deliberation/refined': 0.75 })).toEqual([
    'The chains were deliberated, in at most 2 rounds of critique. Shares of them: 1.00 with intents found, 0.50 revised, 0.25 agreed to, 0.75 refined.',
  ]);
});
