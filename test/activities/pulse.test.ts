import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, expect, test, vi } from 'vitest';
import { tellingProgress, withHeartbeats, withPulse } from '../../activities/pulse.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** Work that takes so long by the clock of the test. */
const taking = (ms: number) => new Promise<string>((done) => setTimeout(() => done('done'), ms));

test('an activity without progress of its own heartbeats by the clock, and no longer than it works', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval'] });
  const environment = new MockActivityEnvironment();
  let heartbeats = 0;
  environment.on('heartbeat', () => (heartbeats += 1));
  const { work } = withPulse({ work: (ms: number) => taking(ms) });
  const ended = environment.run(work, 21_000);
  await vi.advanceTimersByTimeAsync(21_000);
  expect(await ended).toBe('done');
  expect(heartbeats).toBe(4);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(heartbeats).toBe(4);
});

test('an activity that fails stops its heartbeats', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval'] });
  const environment = new MockActivityEnvironment();
  let heartbeats = 0;
  environment.on('heartbeat', () => (heartbeats += 1));
  const { work } = withPulse({ work: () => Promise.reject(new Error('no room')) });
  await expect(environment.run(work)).rejects.toThrow('no room');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(heartbeats).toBe(0);
});

test('while it tells its progress an activity heartbeats on that alone', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval'] });
  const environment = new MockActivityEnvironment();
  let heartbeats = 0;
  environment.on('heartbeat', () => (heartbeats += 1));
  const { work } = withPulse({
    work: async () => {
      await taking(11_000); // fetches
      await tellingProgress(() => taking(60_000)); // an engine that is stuck
      return taking(6_000); // publishes
    },
  });
  const ended = environment.run(work);
  await vi.advanceTimersByTimeAsync(71_000);
  expect(heartbeats).toBe(2);
  await vi.advanceTimersByTimeAsync(6_000);
  expect(await ended).toBe('done');
  expect(heartbeats).toBe(3);
});

test('outside of an activity the work is done without', async () => {
  expect(await withHeartbeats(() => Promise.resolve(7))).toBe(7);
});
