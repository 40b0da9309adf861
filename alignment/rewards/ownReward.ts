/** What a user's own function is told of a chain, and what its answer counts for. Its code runs in a process of its own: infra/processes/isolatedModule. */
import type { ParsedChain } from '../chains/chain.ts';
import type { RequestKind, SafetyRequest } from '../library/library.ts';

export interface OwnRewardArgument {
  /** Text of the request. */
  request: string;
  label: 'harmful' | 'harmless';
  kind: RequestKind;
  category: string;
  /** The chain as it was written, and its two parts. */
  text: string;
  analysis: string;
  response: string;
  /** Both parts are there, in order. */
  format: boolean;
  /** Sampled tokens. */
  tokens: number;
  /** Cut by chain.maxNewTokens. */
  cut: boolean;
}

export function ownRewardArgument(
  chain: { text: string; tokens: readonly number[]; finishReason: 'stop' | 'length' },
  { request, label, kind, category }: SafetyRequest,
  { analysis, finalResponse, format }: ParsedChain,
): OwnRewardArgument {
  return {
    ...{ request, label, kind, category },
    ...{ text: chain.text, analysis, response: finalResponse, format },
    ...{ tokens: chain.tokens.length, cut: chain.finishReason === 'length' },
  };
}

/** A value, or why there is none: the chain is unscorable then, never 0. */
export interface OwnOutcome {
  value: number | null;
  unscorable?: string;
}

/** Reads what the function gave back. @param range what the module exports as `range`; absent = any number. */
export function ownOutcome(answer: unknown, range?: readonly [number, number]): OwnOutcome {
  if (answer === undefined || answer === null) return { value: null, unscorable: 'it gave no value' };
  if (typeof answer !== 'number') return { value: null, unscorable: `it gave a ${typeof answer}, not a number` };
  if (!Number.isFinite(answer)) return { value: null, unscorable: `it gave ${answer}` };
  if (range && (answer < range[0] || answer > range[1]))
    return { value: null, unscorable: `it gave ${answer}, outside of its range ${range[0]} to ${range[1]}` };
  return { value: answer };
}
