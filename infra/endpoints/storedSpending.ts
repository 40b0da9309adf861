/**
 * What a run has asked of an endpoint and paid, over all its workers and restarts: one document of the store, `spending/<run>/<endpoint>.json`, changed by
 * compare-and-swap. A call is counted there before it is made, so that no crash and no number of workers make more calls than the budget has; money is
 * counted when the reply is there, so that calls under way, and the last ones of a killed worker, may cost more than it.
 */
import type { ArtifactStore } from '../artifacts/artifactStore.ts';
import { DocumentConflictError } from '../artifacts/errors.ts';
import { checkSegment } from '../artifacts/keys.ts';
import { spendingFolder } from '../artifacts/runs.ts';
import { requireBudget, type Budget, type Spending } from './chatEndpoint.ts';

/** Who waits for a call to be counted, or a cost. */
interface Waiting {
  calls: 0 | 1;
  done(): void;
  failed(error: unknown): void;
}

/** @param endpoint its name among those of the run */
export function storedSpending(store: ArtifactStore, runId: string, endpoint: string, budget: Budget): Spending {
  const key = `${spendingFolder(runId)}${checkSegment(endpoint, 'name of an endpoint')}.json`;
  let known: Spending['known'] = { calls: 0, cost: 0 };
  let etag: string | undefined;
  /** Paid, and not yet in the store: it stays owed where the store fails. */
  let owed = 0;
  let waiting: Waiting[] = [];
  let atWork = false;

  const read = async (): Promise<void> => {
    const found = await store.getDocument<unknown>(key);
    etag = found?.etag;
    known = found ? spendingIn(found.value, `${store.uri}/${key}`) : { calls: 0, cost: 0 };
  };

  /** One write for all who wait: with many calls at once, the store is not asked for each. */
  const count = async (all: readonly Waiting[]): Promise<void> => {
    if (etag === undefined) await read();
    for (;;) {
      const paid = owed;
      const next = { calls: known.calls, cost: known.cost + paid };
      const refused = new Map<Waiting, unknown>();
      for (const one of all) {
        try {
          if (one.calls > 0) requireBudget(budget, next);
          next.calls += one.calls;
        } catch (error) {
          refused.set(one, error);
        }
      }
      const changed = next.calls > known.calls || paid > 0;
      if (changed && !(await swap(next))) continue;
      owed -= paid;
      for (const one of all)
        if (refused.has(one)) one.failed(refused.get(one));
        else one.done();
      return;
    }
  };

  /** False where others have counted meanwhile: `known` is theirs then. */
  const swap = async (next: Spending['known']): Promise<boolean> => {
    try {
      const put = await store.putDocument(key, next, etag === undefined ? 'ifAbsent' : { ifMatch: etag });
      if (!put.adopted) {
        [known, etag] = [next, put.etag];
        return true;
      }
    } catch (error) {
      if (!(error instanceof DocumentConflictError)) throw error;
    }
    await read();
    return false;
  };

  const countAll = async (): Promise<void> => {
    atWork = true;
    while (waiting.length > 0) {
      const all = waiting;
      waiting = [];
      await count(all).catch((error: unknown) => {
        for (const one of all) one.failed(error);
      });
    }
    atWork = false;
  };
  const enter = (calls: Waiting['calls']): Promise<void> =>
    new Promise((done, failed) => {
      waiting.push({ calls, done, failed });
      if (!atWork) void countAll();
    });

  return {
    get known() {
      return known;
    },
    takeCall: () => enter(1),
    pay: async (cost) => {
      if (cost === 0) return;
      owed += cost;
      await enter(0);
    },
  };
}

/** @throws Error for what is no spending: rather no call than calls that nobody counts */
function spendingIn(value: unknown, uri: string): Spending['known'] {
  const { calls, cost } = (value ?? {}) as Partial<Record<string, unknown>>;
  const isAmount = (amount: unknown): amount is number => typeof amount === 'number' && amount >= 0;
  if (isAmount(calls) && isAmount(cost)) return { calls, cost };
  throw new Error(
    `${uri} does not say how many calls were made and what they cost: remove it, and the budget counts anew`,
  );
}
