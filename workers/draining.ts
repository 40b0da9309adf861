/** How long a worker that was asked to stop may go on with what it has begun. */

/** Where no time is set: enough for light stages; the engine is killed at once and its shard goes to another worker. */
const shortestMs = 4_000;
const longestSeconds = 24 * 3600;

export interface Draining {
  /** The shard at work may be finished: the engine is not killed before the time is over. */
  finishes: boolean;
  /** What runs is cancelled after so long, and retried elsewhere. */
  graceMs: number;
  /** The worker ends after so long whatever still runs. */
  forceMs: number;
}

/**
 * `CADA_DRAIN_SECONDS` gives the shard at work so long to finish. Without it (or 0) it is handed back at once.
 * @throws RangeError where it is no number of seconds.
 */
export function drainingOf(env: NodeJS.ProcessEnv): Draining {
  const text = env.CADA_DRAIN_SECONDS || '0';
  const seconds = Number(text);
  if (!/^\d+$/.test(text) || seconds > longestSeconds) {
    throw new RangeError(
      `CADA_DRAIN_SECONDS=${text} is not allowed: write whole seconds, 0 to ${longestSeconds}. What ends the worker (Kubernetes, systemd) has to wait longer.`,
    );
  }
  const graceMs = Math.max(shortestMs, seconds * 1000);
  return { finishes: seconds > 0, graceMs, forceMs: graceMs + shortestMs };
}
