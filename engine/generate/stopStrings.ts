import type { SamplingOptions } from '../policy.ts';
import { EngineError } from '../policy.ts';
import { loadTokenizer } from '../tokenizer/tokenizer.ts';

/** Whether the text of these sampled tokens ends the sequence. */
export type EndsText = (tokens: readonly number[]) => boolean;

/**
 * Looks for the stop strings in the decoded text, so a string may begin and end in the middle of tokens; only sampled tokens count, and a character
 * counts when all of its bytes are there. Special tokens count as their text.
 */
export async function stopStringTest(options: SamplingOptions): Promise<EndsText> {
  const { stopStrings = [], tokenizerPath } = options;
  if (stopStrings.length === 0) return () => false;
  if (stopStrings.includes('')) throw new EngineError('invalidInput', 'a stop string is empty: leave it out');
  if (tokenizerPath === undefined)
    throw new EngineError('invalidInput', "stop strings need tokenizerPath: the model's folder or GGUF file");
  const tokenizer = await loadTokenizer(tokenizerPath);
  return (tokens) => containsAny(stopStrings, tokenizer.decode(tokens, { skipSpecial: false }));
}

export function containsAny(stopStrings: readonly string[], text: string): boolean {
  return stopStrings.some((stop) => text.includes(stop));
}
