/** Counts the requests to artifact stores for whoever has them made: everything that is asked for within a piece of work, however deep. */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface RequestCounter {
  storeRequests: number;
}

const counters = new AsyncLocalStorage<RequestCounter>();

/** Adds to `counter` what the work asks of stores. */
export function countingRequests<T>(counter: RequestCounter, work: () => Promise<T>): Promise<T> {
  return counters.run(counter, work);
}

/** Called by a store for each request: in S3 each that is sent, also again; in a folder what S3 would be asked for the same. */
export function countRequest(): void {
  const counter = counters.getStore();
  if (counter) counter.storeRequests += 1;
}
