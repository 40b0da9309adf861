import { expect, test } from 'vitest';
import { foundStandardErrors, z80, z975 } from '../../../alignment/evaluation/normalQuantiles.ts';

/** Area below the normal density from 0 to z, by Simpson's rule, and the half below 0. */
function shareBelow(z: number): number {
  const [steps, density] = [2000, (x: number) => Math.exp(-(x ** 2) / 2) / Math.sqrt(2 * Math.PI)];
  const width = z / steps;
  let sum = density(0) + density(z);
  for (let step = 1; step < steps; step++) sum += (step % 2 === 1 ? 4 : 2) * density(step * width);
  return 0.5 + (sum * width) / 3;
}

test('the quantiles of the normal distribution have the shares below them that they say', () => {
  expect(shareBelow(z975)).toBeCloseTo(0.975, 13);
  expect(shareBelow(z80)).toBeCloseTo(0.8, 13);
  expect(foundStandardErrors).toBeCloseTo(2.8015852, 7);
});
