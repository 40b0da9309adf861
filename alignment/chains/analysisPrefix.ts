/** What stands before the final response of a chain: the part that another answer can be made to begin with. */
import { parseChain, type ChainFormat } from './chain.ts';

/**
 * A chain up to and with the mark that opens its final response, and the line break behind it: the policy goes on from there as from its own analysis. A blank at the end is left to the
 * policy, whose tokens begin with it. Undefined where the chain has not both parts, or its final response does not stand last.
 */
export function analysisPrefix(text: string, format: ChainFormat): string | undefined {
  const { format: hasBothParts, finalResponse } = parseChain(text, format);
  const whole = text.trimEnd();
  if (!hasBothParts || !whole.endsWith(finalResponse)) return undefined;
  return whole.slice(0, whole.length - finalResponse.length).replace(/[ \t]+$/, '');
}
