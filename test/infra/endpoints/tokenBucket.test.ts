import { describe, expect, test } from 'vitest';
import { createTokenBucket } from '../../../infra/endpoints/tokenBucket.ts';

function handClock() {
  const clock = { time: 0, now: () => clock.time, sleep: (ms: number) => ((clock.time += ms), Promise.resolve()) };
  return clock;
}

describe('createTokenBucket', () => {
  test('lets a burst through, then one every so many milliseconds, in order', async () => {
    const clock = handClock();
    const bucket = createTokenBucket(60, 3, clock);
    const takenAt: number[] = [];
    await Promise.all(Array.from({ length: 5 }, () => bucket.take().then(() => takenAt.push(clock.time))));
    expect(takenAt.map(Math.round)).toEqual([0, 0, 0, 1000, 2000]);
  });

  test('gathers no more than a burst while nobody takes', async () => {
    const clock = handClock();
    const bucket = createTokenBucket(60, 2, clock);
    clock.time = 60_000;
    for (let i = 0; i < 3; i++) await bucket.take();
    expect(Math.round(clock.time)).toBe(61_000);
  });

  test('a take that is called off leaves the others theirs', async () => {
    const clock = handClock();
    const bucket = createTokenBucket(60, 1, clock);
    await bucket.take();
    await expect(bucket.take(AbortSignal.abort())).rejects.toThrow();
    await bucket.take();
    expect(Math.round(clock.time)).toBe(1000);
  });
});
