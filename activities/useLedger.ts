/**
 * What the activities of each run take of store and Temporal server that no history and no artifact tells: requests of the store, heartbeats. Each worker
 * process adds up its own and keeps it in the store (`use/<run>/<process>.json`), soon after an activity has ended: what it counted in the moment before
 * it was killed is lost.
 */
import { randomUUID } from 'node:crypto';
import type { Context } from '@temporalio/activity';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { countingRequests } from '../infra/artifacts/requestCount.ts';
import { loadUse, saveUse, type StoredUse } from '../infra/artifacts/use.ts';

/** A worker sends no more heartbeats of an activity than one in this time. */
export const heartbeatThrottleMs = 5_000;

/** So long what was counted may be missing in the store. */
const saveAfterMs = 500;

export interface UseLedger {
  /** Runs an activity, counting for its run. */
  during<T>(context: Pick<Context, 'info' | 'heartbeat'>, activity: () => Promise<T>): Promise<T>;
  /** What all processes have counted for a run: of this one up to now. */
  total(runId: string): Promise<StoredUse | undefined>;
}

/** @param kind of the worker, for the document's name */
export function createUseLedger(store: ArtifactStore, kind: string): UseLedger {
  const processName = `${kind}-${randomUUID()}`;
  const uses = new Map<string, StoredUse>();
  const waiting = new Set<string>();

  const useOf = (runId: string): StoredUse => {
    const use = uses.get(runId) ?? { storeRequests: 0, heartbeats: 0 };
    uses.set(runId, use);
    return use;
  };
  const saveSoon = (runId: string): void => {
    if (waiting.has(runId)) return;
    waiting.add(runId);
    const save = (): void => {
      waiting.delete(runId);
      // A store that fails now is asked again after the next activity: no work depends on a count.
      saveUse(store, runId, processName, useOf(runId)).catch(() => undefined);
    };
    setTimeout(save, saveAfterMs).unref();
  };
  return {
    async during(context, activity) {
      const runId = runOf(context.info);
      if (runId === undefined) return activity();
      const use = useOf(runId);
      const sent = sentHeartbeats(heartbeatThrottleMs);
      const { heartbeat } = context;
      // The SDK has no interceptor for heartbeats; each goes through this property.
      Object.assign(context, {
        heartbeat: (details?: unknown) => {
          use.heartbeats += sent(Date.now());
          heartbeat(details);
        },
      });
      try {
        return await countingRequests(use, activity);
      } finally {
        saveSoon(runId);
      }
    },
    async total(runId) {
      const own = uses.get(runId);
      if (own) await saveUse(store, runId, processName, own);
      return loadUse(store, runId);
    },
  };
}

/** Child workflows are named after their run: `<run>/iteration-3`. */
function runOf({ workflowExecution }: Context['info']): string | undefined {
  return workflowExecution?.workflowId.split('/')[0];
}

/**
 * How many heartbeats a call to `heartbeat` sends or shows to have been sent, as the SDK throttles them: the first at once, those within the interval are held
 * and the newest of them goes at its end.
 */
export function sentHeartbeats(intervalMs: number): (nowMs: number) => number {
  let next = -Infinity;
  let held = false;
  return (now) => {
    let sent = 0;
    if (held && now >= next) {
      sent += 1;
      next += intervalMs;
      held = false;
    }
    if (now < next) held = true;
    else {
      sent += 1;
      next = now + intervalMs;
    }
    return sent;
  };
}
