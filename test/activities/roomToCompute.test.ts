import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import { roomToCompute, type RoomOptions } from '../../activities/roomToCompute.ts';
import { StoreFullError } from '../../infra/artifacts/artifactStore.ts';

/** Free bytes as they are found, the last for ever. */
function waiting(free: number[], options: Pick<RoomOptions, 'longestWaitMs'> = {}) {
  const told: string[] = [];
  let asked = 0;
  const settings: RoomOptions = {
    freeBytes: () => Promise.resolve(free[Math.min(asked++, free.length - 1)]!),
    pollMs: 10,
    onWait: ({ message }) => told.push(message),
    ...options,
  };
  return { told, asked: () => asked, settings };
}

test('with room nothing is told, and nobody waits', async () => {
  const { told, asked, settings } = waiting([16 * 2 ** 20]);
  await new MockActivityEnvironment().run(() => roomToCompute('/scratch', settings));
  expect([told, asked()]).toEqual([[], 1]);
});

test('waits until there is some, and says once why', async () => {
  const { told, asked, settings } = waiting([0, 4096, 2 ** 30]);
  await new MockActivityEnvironment().run(() => roomToCompute('/scratch', settings));
  expect(asked()).toBe(3);
  expect(told).toEqual([expect.stringMatching(/^no room on the disk of \/scratch: .* 0 B are free/)]);
});

test('gives the shard back where none comes', async () => {
  const { asked, settings } = waiting([4096], { longestWaitMs: 30 });
  const failure = await new MockActivityEnvironment()
    .run(() => roomToCompute('/scratch', settings))
    .catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(StoreFullError);
  expect(asked()).toBe(4);
});

test('a cancelled activity waits no longer', async () => {
  const environment = new MockActivityEnvironment();
  const { settings } = waiting([0]);
  const ended = environment.run(() => roomToCompute('/scratch', settings));
  environment.cancel();
  await expect(ended).rejects.toThrow(/CANCELLED/i);
});
