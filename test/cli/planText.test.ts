import { expect, test } from 'vitest';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { estimateRun } from '../../alignment/plan/estimateRun.ts';
import { describePlan } from '../../cli/plan.ts';

const planOf = (settings: object): string =>
  describePlan(estimateRun(configurationSchema.parse({ name: 'planned', ...settings })), 'planned-1');

test('a plan tells the calls of judge and teacher and what they cost, and is silent where nobody is asked', () => {
  expect(planOf({})).not.toMatch(/calls/);
  const endpoint = { url: 'http://127.0.0.1:1/v1', model: 'm' };
  const priced = { inputPrice: 1, outputPrice: 2, maxTokens: 100 };
  const warmStart = { source: 'teacher' };
  expect(planOf({ warmStart, teacher: endpoint })).toContain(
    'teacher: 192 calls, teacher.inputPrice and teacher.outputPrice would say what they cost',
  );
  const both = planOf({
    ...{ warmStart, teacher: { ...endpoint, ...priced }, judge: { ...endpoint, ...priced }, rewards: { graded: 1 } },
    ...{ iteration: { count: 0 }, evaluation: { requests: { harmful: 10, plain: 1, lookAlike: 0 } } },
  });
  // 192 x (760 + 2 x 100) / 10^6, and 96 of the warm start and 2 x 10 answers x (700 + 200) / 10^6.
  expect(both).toContain('teacher: 192 calls, at most 0.18 in the currency of its prices');
  expect(both).toContain('judge: 116 calls, at most 0.10 in the currency of its prices');
});
