import { expect, test } from 'vitest';
import { createUnitPace } from '../../cli/operate/followStudy.ts';

test('the time that a study has left goes by the units that were seen to be made, not by those that were there', () => {
  const pace = createUnitPace();
  const at = (iteration: number, seconds: number) => pace({ iteration, iterations: 10 }, seconds);
  expect(at(0, 0)).toBeUndefined();
  // Three units found done.
  expect(at(2, 1)).toBeUndefined();
  expect(at(3, 2)).toBeUndefined();
  expect(at(3, 60)).toBeUndefined();
  expect(at(4, 102)).toBe(600);
  expect(at(4, 200)).toBe(600);
  expect(at(5, 302)).toBe(150 * 5);
  // Two at once, of several lanes.
  expect(at(7, 602)).toBe(150 * 3);
  expect(at(10, 603)).toBe(0);
});
