/** Replies of endpoints, kept by the digest of their question, so that a resumed run asks nothing twice. */
import type { ArtifactStore } from '../artifacts/artifactStore.ts';
import { canonicalJson } from '../artifacts/canonicalJson.ts';
import { sha256 } from '../artifacts/digest.ts';
import type { ChatEndpoint, ChatQuestion, ChatReply, EndpointFault } from './chatEndpoint.ts';

/** A reply, as it is kept. */
export type KeptReply = ChatReply;

/** Replies by the digest of their question. */
export interface ReplyCache {
  get(digest: string): Promise<KeptReply | undefined>;
  /** Answers with the reply that is kept: another's, where it came first. */
  put(digest: string, reply: KeptReply): Promise<KeptReply>;
}

/** What asking has come to. */
export interface Tally {
  /** What was wrong with the endpoint, where it was. */
  fault?: EndpointFault;
  /** Questions asked now, and answered by kept replies. */
  asked: number;
  kept: number;
  cost: number;
  /** Of the questions asked now, added up. */
  latencyMs: number;
}

export const newTally = (): Tally => ({ asked: 0, kept: 0, cost: 0, latencyMs: 0 });

/**
 * The kept reply to the question, or a new one, which is then kept; counted in `tally`.
 * @throws EndpointError
 */
export async function askKept(
  { endpoint, cache }: { endpoint: Pick<ChatEndpoint, 'ask'>; cache: ReplyCache },
  question: ChatQuestion,
  digest: string,
  tally: Tally,
): Promise<KeptReply> {
  const kept = await cache.get(digest);
  if (kept) {
    tally.kept += 1;
    return kept;
  }
  const reply = await endpoint.ask(question);
  tally.asked += 1;
  tally.cost += reply.cost;
  tally.latencyMs += reply.latencyMs;
  return cache.put(digest, reply);
}

/**
 * Everything that the reply depends on; not the address: a moved server answers the same.
 * @param vote which of several replies to one question is meant; @param attempt counts replies that could not be read
 */
export function questionDigest(
  model: string,
  { signal: _, ...question }: ChatQuestion,
  vote: number,
  attempt: number,
): string {
  return sha256(canonicalJson({ version: 1, model, question, vote, attempt }));
}

/** Keeps replies as documents of the store, `<folder>/<digest>.json`. */
export function storedReplies(store: ArtifactStore, folder = 'judgements'): ReplyCache {
  const keyOf = (digest: string): string => `${folder}/${digest}.json`;
  return {
    get: async (digest) => (await store.getDocument<KeptReply>(keyOf(digest)))?.value,
    put: async (digest, reply) => (await store.putDocument(keyOf(digest), reply, 'ifAbsent')).value as KeptReply,
  };
}

/** What asking has cost, for lineage and report, as `<name>/asked` and so on; nothing where there was nobody to ask. */
export function tallyFigures(name: string, tallies: readonly Tally[]): Record<string, number> {
  if (tallies.length === 0) return {};
  const sum = (value: (tally: Tally) => number): number => tallies.reduce((total, tally) => total + value(tally), 0);
  const asked = sum((tally) => tally.asked);
  return {
    [`${name}/asked`]: asked,
    [`${name}/kept`]: sum((tally) => tally.kept),
    [`${name}/cost`]: sum((tally) => tally.cost),
    [`${name}/mean_latency_ms`]: asked === 0 ? 0 : sum((tally) => tally.latencyMs) / asked,
  };
}
