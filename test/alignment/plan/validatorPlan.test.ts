/** What a validator adds to a run: a split is answered and judged before the first cycle and after each. */
import { expect, test } from 'vitest';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { estimateRun } from '../../../alignment/plan/estimateRun.ts';

const iterations = (preference?: object, changes: object = {}) => {
  const iteration = { count: 4, method: 'iterative', ...(preference ? { preference } : {}) };
  const estimate = estimateRun(configurationSchema.parse({ name: 'a', iteration, ...changes }));
  return { ...estimate.stages.find(({ stage }) => stage === 'iterations')!, judgeCost: estimate.judgeCost };
};
const requests = { harmful: 10, plain: 6, lookAlike: 4 };
const validated = (validator: object) => ({ chosen: 'validator', validator: { requests, ...validator } });

test('five times twenty answers to four cycles, and their time', () => {
  const plain = iterations();
  const rules = iterations(validated({}));
  expect(rules.chains - plain.chains).toBe(5 * 20);
  expect(rules.generatedTokens - plain.generatedTokens).toBe(5 * 20 * 112);
  expect(rules.seconds).toBeGreaterThan(plain.seconds);
  expect(rules.judgeCalls).toBe(plain.judgeCalls);
  // Method `iterative` without a validator is what it was.
  expect(iterations({ chosen: 'alternating' })).toEqual(plain);
});

test('a policy that judges itself reads two questions for each answer', () => {
  const [rules, self] = [iterations(validated({})), iterations(validated({ judge: 'self' }))];
  expect(self.chains).toBe(rules.chains);
  expect(self.seconds - rules.seconds).toBeCloseTo((5 * 2 * 20 * (120 + 112)) / 700, 6);
  // 20 answers are two shards of 16; a heartbeat of each, and three in 13 seconds.
  expect(self.temporalActions - rules.temporalActions).toBe(5 * (2 + 2 + 3));
});

test('an endpoint is asked once for each answer', () => {
  const judge = { url: 'http://127.0.0.1:1/v1', model: 'judge', inputPrice: 1, outputPrice: 2, maxTokens: 100 };
  const { judgeCalls, judgeCost } = iterations(validated({ judge: 'endpoint' }), { judge });
  expect(judgeCalls).toBe(5 * 20);
  expect(judgeCost).toBeCloseTo((100 * (700 + 200)) / 1e6, 9);
});
