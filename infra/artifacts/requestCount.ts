/** Counts the requests to artifact stores for whoever has them made: everything that is asked for within a piece of work, however deep. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ArtifactStore } from './artifactStore.ts';

export interface RequestCounter {
  storeRequests: number;
}

const counters = new AsyncLocalStorage<RequestCounter>();

/** Adds to `counter` what the work asks of stores. */
export function countingRequests<T>(counter: RequestCounter, work: () => Promise<T>): Promise<T> {
  return counters.run(counter, work);
}

/** Called for each request that is sent to S3, also again. */
export function countRequest(): void {
  const counter = counters.getStore();
  if (counter) counter.storeRequests += 1;
}

/** A store of which each call counts as one request, as S3 would be asked. */
export function countingCalls(store: ArtifactStore): ArtifactStore {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      return (...input: unknown[]): unknown => {
        countRequest();
        return Reflect.apply(member, target, input);
      };
    },
  });
}
