import { expect, test } from 'vitest';
import { createUnitPace } from '../../cli/operate/followStudy.ts';

function follow() {
  const pace = createUnitPace();
  return (iteration: number, unitsMade: number, seconds: number) =>
    pace({ iteration, iterations: 10, unitsMade }, seconds);
}

test('the time that a study has left goes by the units that were seen to be made, not by those that were there', () => {
  const at = follow();
  expect(at(0, 0, 0)).toBeUndefined();
  // Three units found done, the third slowly.
  expect(at(2, 0, 1)).toBeUndefined();
  expect(at(3, 0, 42)).toBeUndefined();
  expect(at(3, 0, 100)).toBeUndefined();
  expect(at(4, 1, 142)).toBe(600);
  expect(at(4, 1, 240)).toBe(600);
  expect(at(5, 2, 342)).toBe(150 * 5);
  // Two at once, of several lanes.
  expect(at(7, 4, 642)).toBe(150 * 3);
  expect(at(10, 4, 643)).toBe(0);
});

test('units that came to nothing count neither as made nor as time', () => {
  const at = follow();
  expect(at(0, 0, 0)).toBeUndefined();
  // A resumed study begins with what failed before: it fails again after a minute.
  expect(at(1, 0, 60)).toBeUndefined();
  expect(at(2, 1, 360)).toBe(300 * 8);
  expect(at(3, 1, 2000)).toBe(300 * 7);
  // One of two lanes made its unit as the other one's failed.
  expect(at(5, 2, 2500)).toBe(400 * 5);
});

test('the unit that was at work when one began to follow is not reckoned with: its beginning was not seen', () => {
  const at = follow();
  expect(at(5, 3, 0)).toBeUndefined();
  expect(at(6, 4, 10)).toBeUndefined();
  expect(at(7, 5, 210)).toBe(200 * 3);
});

test('a workflow that does not say how many units it made gets no estimate', () => {
  const pace = createUnitPace();
  for (const [iteration, seconds] of [0, 100, 200].entries())
    expect(pace({ iteration, iterations: 10 }, seconds)).toBeUndefined();
});
