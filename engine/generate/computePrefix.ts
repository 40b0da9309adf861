import { EngineError } from '../policy.ts';
import type { Prefix } from './prefix.ts';
import { emptyPrefix, extendPrefix } from './prefix.ts';
import { PREFILL_CHUNK } from './prefixGroups.ts';
import type { Sampler } from './sampler.ts';

/**
 * Computes a prefix chunk by chunk, each after the chunks before, unless it is known from a call before. Whole chunks that the prefix before this one began
 * with too are kept, and computed once for all that follow.
 */
export async function computePrefix(sampler: Sampler, tokens: readonly number[], onChunk: () => void): Promise<Prefix> {
  const { recentPrefixes } = sampler;
  const known = recentPrefixes.get(tokens);
  if (known) return known;
  const shared = Math.floor(recentPrefixes.sharedWithLast(tokens) / PREFILL_CHUNK) * PREFILL_CHUNK;
  const begin = tokens.slice(0, shared);
  let begun = shared > 0 ? recentPrefixes.get(begin) : undefined;
  let prefix = begun ?? emptyPrefix(sampler.config);
  while (prefix.length < tokens.length) {
    const chunk = tokens.slice(prefix.length, prefix.length + PREFILL_CHUNK);
    const input = { tokens: [chunk], prefix, draws: [], temperature: 0 };
    const { width, newKeys, newValues, nonFinite } = await sampler.forward(input);
    if (nonFinite)
      throw new EngineError(
        'notFinite',
        `the first ${prefix.length + chunk.length} tokens of a prompt: the model's keys and values are not finite: ${nonFinite}`,
      );
    prefix = extendPrefix(sampler.config, prefix, { added: chunk.length, width, keys: newKeys, values: newValues });
    if (prefix.length === shared) begun = prefix;
    onChunk();
  }
  recentPrefixes.add(tokens, prefix);
  // Last, so that it stays: it is of more use.
  if (begun) recentPrefixes.add(begin, begun);
  return prefix;
}
