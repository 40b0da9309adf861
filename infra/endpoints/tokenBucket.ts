/** A token bucket: so many takes a minute, a few at once. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface TokenBucket {
  /** Resolves when a token is there; in the order of the calls. */
  take(signal?: AbortSignal): Promise<void>;
}

export interface BucketClock {
  /** Milliseconds. */
  now(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<unknown>;
}

const systemClock: BucketClock = {
  now: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, signal ? { signal } : {}),
};

/**
 * @param perMinute tokens a minute, above 0.
 * @param burst tokens that gather while nobody takes any. @default a second's worth, at least 1
 */
export function createTokenBucket(
  perMinute: number,
  burst = Math.max(1, perMinute / 60),
  clock: BucketClock = systemClock,
): TokenBucket {
  const msPerToken = 60_000 / perMinute;
  let tokens = burst;
  let filledAt = clock.now();
  let queue: Promise<unknown> = Promise.resolve();

  const takeNext = async (signal?: AbortSignal): Promise<void> => {
    for (;;) {
      signal?.throwIfAborted();
      const now = clock.now();
      tokens = Math.min(burst, tokens + (now - filledAt) / msPerToken);
      filledAt = now;
      // Rounding must not make a full token out of reach.
      if (tokens >= 1 - 1e-9) {
        tokens -= 1;
        return;
      }
      await clock.sleep((1 - tokens) * msPerToken, signal);
    }
  };
  return {
    take(signal) {
      const taken = queue.then(() => takeNext(signal));
      queue = taken.catch(() => {});
      return taken;
    },
  };
}
