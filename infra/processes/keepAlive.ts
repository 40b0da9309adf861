import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildExit, Stoppable, SupervisedChild } from './supervisedChild.ts';

export interface RestartPolicy {
  /** Deaths within `windowMs` after which the child is given up. @default 5 */
  maxRestarts?: number;
  /** @default 300_000 */
  windowMs?: number;
  /** First pause before a restart; doubles with each death in the window. @default 500 */
  initialDelayMs?: number;
  /** @default 30_000 */
  maxDelayMs?: number;
  /** Called at each unwanted end that is followed by a restart. */
  onRestart?: (event: { name: string; exit: ChildExit; restarts: number; delayMs: number }) => void;
}

/** A child that is started again when it dies. */
export interface KeptChild extends Stoppable {
  /** The running child, or the one that died last while a restart is pending. */
  readonly child: SupervisedChild;
  readonly restarts: number;
  /** Rejects when the child died too often or could not be started again; stays pending otherwise, resolves on `stop`. */
  readonly ended: Promise<void>;
  /** Ends the child and the restarting; also during a pause. */
  stop(): Promise<void>;
}

/**
 * Starts a child and starts it again whenever it ends without having been stopped (code 0 as well: a worker has no reason to end).
 *
 * @throws whatever the first `start` throws.
 */
export async function keepAlive(start: () => Promise<SupervisedChild>, policy: RestartPolicy = {}): Promise<KeptChild> {
  const { maxRestarts = 5, windowMs = 300_000, initialDelayMs = 500, maxDelayMs = 30_000 } = policy;
  let child = await start();
  let restarts = 0;
  let deaths: number[] = [];
  const stopping = new AbortController();

  const watch = async (): Promise<void> => {
    for (;;) {
      const exit = await child.exited;
      if (stopping.signal.aborted) return;
      const now = Date.now();
      deaths = [...deaths.filter((death) => now - death < windowMs), now];
      if (deaths.length > maxRestarts) {
        throw new Error(
          `${child.name} ended ${deaths.length} times within ${Math.round(windowMs / 1000)} s and is not started again; ` +
            `last with ${exit.signal ?? `code ${exit.code}`}. The end of its log:\n${await child.logTail()}`,
        );
      }
      const delayMs = Math.min(maxDelayMs, initialDelayMs * 2 ** (deaths.length - 1));
      restarts++;
      policy.onRestart?.({ name: child.name, exit, restarts, delayMs });
      await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      child = await start();
      // Stopped while it was starting: this child is ours to end.
      if (stopping.signal.aborted) {
        await child.stop();
        return;
      }
    }
  };
  const ended = watch();
  // The caller may look at `ended` late or never; an unobserved rejection must not end the process.
  ended.catch(() => {});

  return {
    get name() {
      return child.name;
    },
    get child() {
      return child;
    },
    get restarts() {
      return restarts;
    },
    ended,
    stop: async () => {
      stopping.abort();
      await child.stop();
      await ended.catch(() => {});
    },
  };
}
