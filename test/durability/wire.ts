/** What passes between workers and S3, seen at their proxies: single requests can be waited for and held, and faults put on a worker's connection. */
import type { Fault, FaultyProxy, ProxiedRequest } from '../servers/faultyProxy.ts';

export interface SeenRequest {
  machine: string;
  method: string;
  /** Below the store's prefix: "steps/<key>.json", "objects/<sha256>"; '' for a listing. */
  key: string;
  /** `asked`: not yet passed on; `answered`: done at the server, the answer not yet passed on. */
  phase: 'asked' | 'answered';
}

/** A request that waits: nothing of it passes until it is let go. */
export interface HeldRequest extends SeenRequest {
  /** @param how `pass`: as if nothing had been; `reset`: its connection is cut */
  letGo(how: 'pass' | 'reset'): void;
}

export interface Wire {
  watch(machine: string, proxy: FaultyProxy): void;
  /** Holds the next request that fits. `signal` gives up: it then rejects. */
  hold(fits: (request: SeenRequest) => boolean, signal: AbortSignal): Promise<HeldRequest>;
  /** What happens to the requests of a machine from now on; undefined: nothing. */
  harm(machine: string, faultOf: ((request: SeenRequest) => Fault) | undefined): void;
  /** Requests that were harmed since `harm` was called for a machine. */
  harmed(machine: string): number;
}

interface Watcher {
  fits: (request: SeenRequest) => boolean;
  take: (request: HeldRequest) => void;
}

export function createWire(): Wire {
  const watchers = new Set<Watcher>();
  const faults = new Map<string, { faultOf: (request: SeenRequest) => Fault; harmed: number }>();

  function held(request: SeenRequest): Promise<'none' | 'reset'> | undefined {
    for (const watcher of watchers) {
      if (!watcher.fits(request)) continue;
      watchers.delete(watcher);
      return new Promise((done) =>
        watcher.take({ ...request, letGo: (how) => done(how === 'pass' ? 'none' : 'reset') }),
      );
    }
    return undefined;
  }

  return {
    watch(machine, proxy) {
      proxy.onRequest = (request) => {
        const seen = seenRequest(machine, request, 'asked');
        const waiting = held(seen);
        if (waiting) return waiting;
        const harm = faults.get(machine);
        const fault = harm?.faultOf(seen) ?? 'none';
        if (fault !== 'none') harm!.harmed += 1;
        return fault;
      };
      proxy.onAnswer = (request) => held(seenRequest(machine, request, 'answered')) ?? 'none';
    },
    async hold(fits, signal) {
      signal.throwIfAborted();
      return new Promise((take, reject) => {
        const watcher = { fits, take };
        watchers.add(watcher);
        signal.addEventListener(
          'abort',
          () => {
            if (watchers.delete(watcher)) reject(signal.reason as Error);
          },
          { once: true },
        );
      });
    },
    harm(machine, faultOf) {
      if (faultOf) faults.set(machine, { faultOf, harmed: 0 });
      else faults.delete(machine);
    },
    harmed: (machine) => faults.get(machine)?.harmed ?? 0,
  };
}

function seenRequest(machine: string, { method, url }: ProxiedRequest, phase: SeenRequest['phase']): SeenRequest {
  const { pathname } = new URL(url, 'http://s3');
  // "/bucket/cada/steps/..."
  return { machine, method, key: decodeURIComponent(pathname).split('/').slice(3).join('/'), phase };
}
