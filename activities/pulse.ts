/**
 * Heartbeats by the clock, for work that has no progress to tell (gigabytes fetched or published, bookkeeping): they say that its worker is alive.
 */
import { asyncLocalStorage, type Context } from '@temporalio/activity';

const pulseMs = 5_000;

/** Activities that tell their progress just now. */
const telling = new WeakSet<Context>();

/** Heartbeats as long as the work goes on; none outside of an activity. */
export async function withHeartbeats<T>(work: () => Promise<T>): Promise<T> {
  const context = asyncLocalStorage.getStore();
  if (!context) return work();
  const timer = setInterval(() => telling.has(context) || context.heartbeat(), pulseMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}

/** Work that heartbeats on its progress: its silence is to be noticed, so the clock is not heard meanwhile. */
export async function tellingProgress<T>(work: () => Promise<T>): Promise<T> {
  const context = asyncLocalStorage.getStore();
  if (!context) return work();
  telling.add(context);
  try {
    return await work();
  } finally {
    telling.delete(context);
  }
}

/**
 * The activities, with heartbeats while they are at work. A worker that is killed is then noticed within the heartbeat timeout, not only when the time for
 * the whole activity is over.
 */
export function withPulse<T extends Record<string, (...input: never[]) => Promise<unknown>>>(activities: T): T {
  const beating = Object.entries(activities).map(([name, activity]) => [
    name,
    (...input: never[]) => withHeartbeats(() => activity(...input)),
  ]);
  return Object.fromEntries(beating) as T;
}
