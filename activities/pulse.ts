/** Heartbeats by the clock, for work that has no progress to tell: they say that its worker is alive. */
import { asyncLocalStorage } from '@temporalio/activity';

const pulseMs = 5_000;

/** Heartbeats as long as the work goes on; none outside of an activity (`cada ask` fetches a policy too). */
export async function withHeartbeats<T>(work: () => Promise<T>): Promise<T> {
  const context = asyncLocalStorage.getStore();
  if (!context) return work();
  const timer = setInterval(() => context.heartbeat(), pulseMs);
  try {
    return await work();
  } finally {
    clearInterval(timer);
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
