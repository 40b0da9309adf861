import { expect, it } from 'vitest';
import { scheduledLearningRate } from '../../alignment/schedules.ts';

const rates = (schedule: 'constant' | 'cosine' | 'linear', warmupRatio: number, steps: number) =>
  Array.from({ length: steps }, (_rate, i) =>
    scheduledLearningRate({ schedule, learningRate: 8, warmupRatio }, i + 1, steps),
  );

it('starts at 0 with warm-up, rounds the warm-up steps up, and falls by the schedule', () => {
  expect(rates('constant', 0, 3)).toEqual([8, 8, 8]);
  // ceil(0.3 x 6) = 2 warm-up steps
  expect(rates('constant', 0.3, 6)).toEqual([0, 4, 8, 8, 8, 8]);
  expect(rates('linear', 0.3, 6)).toEqual([0, 4, 8, 6, 4, 2]);
  expect(rates('linear', 0, 4)).toEqual([8, 6, 4, 2]);
  const cosine = rates('cosine', 0, 4);
  expect(cosine[0]).toBe(8);
  expect(cosine[1]).toBeCloseTo(4 + 4 * Math.SQRT1_2, 12);
  expect(cosine[2]).toBeCloseTo(4, 12);
});

it('takes a schedule that is all warm-up', () => {
  expect(rates('linear', 1, 2)).toEqual([0, 4]);
});

it('refuses a step outside the schedule', () => {
  const settings = { schedule: 'cosine', learningRate: 1, warmupRatio: 0 } as const;
  expect(() => scheduledLearningRate(settings, 0, 4)).toThrow(RangeError);
  expect(() => scheduledLearningRate(settings, 5, 4)).toThrow('step 5');
});
