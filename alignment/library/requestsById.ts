import { requestSplits, type Library, type SafetyRequest } from './library.ts';

/** All requests of a library and its benchmarks. */
export function requestsById(library: Library): Map<string, SafetyRequest> {
  return new Map(
    [...requestSplits.map((split) => library.requests[split]), ...Object.values(library.benchmarks)].flatMap(
      (requests) => requests.map((request) => [request.id, request] as const),
    ),
  );
}
