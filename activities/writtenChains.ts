/** How chains end that nobody samples. */
import type { ChainRecord } from '../alignment/chains/chain.ts';
import type { GenerationItem } from './plans.ts';

/**
 * A chain that a model has written ends as one that the policy samples: where its writer's limit has cut it, or it is longer than a chain may be, without
 * a stop token. What we have written ourselves ends as it is.
 */
export function endAsWritten(chain: ChainRecord, { cut }: GenerationItem, maxNewTokens: number): ChainRecord {
  if (cut === undefined || (!cut && chain.tokens.length <= maxNewTokens)) return chain;
  return { ...chain, tokens: chain.tokens.slice(0, -1).slice(0, maxNewTokens), finishReason: 'length' };
}
