/** Which requests of a split are used: for an evaluation, a probe, the warm start, an iteration. */
import type { RequestCounts } from '../configuration/schema.ts';
import { countOfKind, requestKinds } from '../library/library.ts';
import type { RequestKind, SafetyRequest } from '../library/library.ts';
import { balancedOrder } from '../randomness/seededRandom.ts';

/**
 * `counts` requests of each kind: the first of a seeded order that is balanced over categories. So a smaller selection with the same seed is part of
 * a larger one (a probe of the evaluation set). Kinds come in the order harmful, plain, look-alike.
 * @param source what the requests are, for the error: `library/requests/heldOut.jsonl`.
 * @throws Error when a kind has too few requests.
 */
export function selectRequests(
  requests: readonly SafetyRequest[],
  counts: RequestCounts,
  seed: string,
  source: string,
): SafetyRequest[] {
  return requestKinds.flatMap((kind) => {
    const count = countOfKind(counts, kind);
    const available = ofKind(requests, kind);
    requireEnough(count, available.length, kind, source);
    return orderOfKind(available, kind, seed).slice(0, count);
  });
}

/**
 * The requests of an iteration (from 1 on). Each kind is gone through in epochs, each epoch in a seeded balanced order of its own; an iteration takes
 * the next `counts` of it. What is left at the end of an epoch and is too little for an iteration is passed over, so that no iteration holds a request twice.
 * @throws Error when a kind has fewer requests than one iteration takes.
 */
export function iterationRequests(
  requests: readonly SafetyRequest[],
  counts: RequestCounts,
  iteration: number,
  seed: string,
  source: string,
): SafetyRequest[] {
  return requestKinds.flatMap((kind) => {
    const count = countOfKind(counts, kind);
    if (count === 0) return [];
    const available = ofKind(requests, kind);
    requireEnough(count, available.length, kind, source);
    const iterationsPerEpoch = Math.floor(available.length / count);
    const epoch = Math.floor((iteration - 1) / iterationsPerEpoch);
    const start = ((iteration - 1) % iterationsPerEpoch) * count;
    return orderOfKind(available, kind, `${seed}/epoch-${epoch}`).slice(start, start + count);
  });
}

/**
 * Further requests for an iteration, `counts` of each kind or as many as there are: those that follow the iteration's own in the order of its epoch (from
 * the beginning again after the last), without those in `used`.
 */
export function refillRequests(
  requests: readonly SafetyRequest[],
  { own, further }: { own: RequestCounts; further: RequestCounts },
  iteration: number,
  seed: string,
  used: ReadonlySet<string>,
): SafetyRequest[] {
  return requestKinds.flatMap((kind) => {
    const [ownCount, count] = [countOfKind(own, kind), countOfKind(further, kind)];
    if (count === 0 || ownCount === 0) return [];
    const available = ofKind(requests, kind);
    const iterationsPerEpoch = Math.floor(available.length / ownCount);
    const epoch = Math.floor((iteration - 1) / iterationsPerEpoch);
    const next = (((iteration - 1) % iterationsPerEpoch) + 1) * ownCount;
    const order = orderOfKind(available, kind, `${seed}/epoch-${epoch}`);
    return [...order.slice(next), ...order.slice(0, next)].filter(({ id }) => !used.has(id)).slice(0, count);
  });
}

function ofKind(requests: readonly SafetyRequest[], kind: RequestKind): SafetyRequest[] {
  return requests.filter((request) => request.kind === kind);
}

function orderOfKind(requests: SafetyRequest[], kind: RequestKind, seed: string): SafetyRequest[] {
  return balancedOrder(
    requests,
    (request) => request.id,
    (request) => request.category,
    `${seed}/requests/${kind}`,
  );
}

function requireEnough(count: number, available: number, kind: RequestKind, source: string): void {
  if (count <= available) return;
  throw new Error(
    `${source} has ${available} ${kind} requests, but the configuration asks for ${count}: lower that number or add requests`,
  );
}
