/** Heartbeats by the clock, for work that has no progress to tell: they say that its worker is alive. */
import { Context } from '@temporalio/activity';

const pulseMs = 5_000;

/**
 * The activities, with heartbeats while they are at work. A worker that is killed is then noticed within the heartbeat timeout, not only when the time for
 * the whole activity is over.
 */
export function withPulse<T extends Record<string, (...input: never[]) => Promise<unknown>>>(activities: T): T {
  const beating = Object.entries(activities).map(([name, activity]) => [
    name,
    async (...input: never[]): Promise<unknown> => {
      const context = Context.current();
      const timer = setInterval(() => context.heartbeat(), pulseMs);
      try {
        return await activity(...input);
      } finally {
        clearInterval(timer);
      }
    },
  ]);
  return Object.fromEntries(beating) as T;
}
