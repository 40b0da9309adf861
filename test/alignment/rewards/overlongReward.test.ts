import { expect, it } from 'vitest';
import { overlongRamp } from '../../../alignment/rewards/overlongReward.ts';

it('ramps from 0 at the start of the buffer to -1 at the limit', () => {
  expect([50, 60, 65, 80, 100, 120].map((tokens) => overlongRamp(tokens, 100, 40))).toEqual([
    0, 0, -0.125, -0.5, -1, -1,
  ]);
});

it('has no ramp without a buffer', () => {
  expect([99, 100].map((tokens) => overlongRamp(tokens, 100, 0))).toEqual([0, 0]);
});
