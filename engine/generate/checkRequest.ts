import type { DecoderConfig } from '../model/config.ts';
import type { SamplePrompt, SamplingOptions } from '../policy.ts';
import { EngineError } from '../policy.ts';
import { shapesDistribution } from './processedDistribution.ts';

/** Throws EngineError('invalidInput') for an option of the processors that is out of its range, and for what leaves nothing to draw. */
export function checkOptions({ vocabularySize }: DecoderConfig, options: SamplingOptions): void {
  const { topK = 0, topP = 1, minP = 0, repetitionPenalty = 1, minNewTokens = 0 } = options;
  const { maxNewTokens, stopTokens, firstTokens } = options;
  const problem = (text: string) => new EngineError('invalidInput', `sampling options: ${text}`);
  if (!Number.isInteger(topK) || topK < 0) throw problem(`topK ${topK} is not a whole number from 0`);
  if (!(topP > 0 && topP <= 1)) throw problem(`topP ${topP} is not above 0 and at most 1`);
  if (!(minP >= 0 && minP <= 1)) throw problem(`minP ${minP} is not between 0 and 1`);
  if (!(repetitionPenalty > 0 && Number.isFinite(repetitionPenalty)))
    throw problem(`repetitionPenalty ${repetitionPenalty} is not a positive number`);
  if (!Number.isInteger(minNewTokens) || minNewTokens < 0 || minNewTokens > maxNewTokens)
    throw problem(`minNewTokens ${minNewTokens} is not a whole number from 0 to maxNewTokens = ${maxNewTokens}`);
  if (minNewTokens > 0 && new Set(stopTokens).size >= vocabularySize)
    throw problem('minNewTokens bars every token, since all of them are stop tokens');
  if (!firstTokens) return;
  if (options.temperature !== 0 || maxNewTokens !== 1 || shapesDistribution(options))
    throw problem('firstTokens go with temperature 0, maxNewTokens 1 and no processors');
  const strange = firstTokens.find((token) => !Number.isInteger(token) || token < 0 || token >= vocabularySize);
  if (strange !== undefined)
    throw problem(
      `firstTokens: ${strange} is not in the vocabulary of ${vocabularySize}: use the model's own tokenizer`,
    );
}

/** Throws EngineError('invalidInput'), naming the prompt, for what cannot be sampled from. */
export function checkPrompt(config: DecoderConfig, prompt: SamplePrompt, options: SamplingOptions): void {
  const { vocabularySize, contextLength } = config;
  const problem = (text: string) => new EngineError('invalidInput', `prompt '${prompt.id}': ${text}`);
  if (prompt.tokens.length === 0) throw problem('has no tokens');
  if (prompt.tokens.length >= contextLength)
    throw problem(`has ${prompt.tokens.length} tokens, the model's context is ${contextLength}: shorten it`);
  const strange = prompt.tokens.find((token) => !Number.isInteger(token) || token < 0 || token >= vocabularySize);
  if (strange !== undefined)
    throw problem(`token ${strange} is not in the vocabulary of ${vocabularySize}: use the model's own tokenizer`);
  if (!Number.isInteger(prompt.prefixLength) || prompt.prefixLength < 0 || prompt.prefixLength > prompt.tokens.length)
    throw problem(`prefixLength ${prompt.prefixLength} is not between 0 and its ${prompt.tokens.length} tokens`);
  if (!(options.temperature >= 0 && Number.isFinite(options.temperature)))
    throw problem(`temperature ${options.temperature} is not 0 or a positive number`);
  if (!Number.isInteger(options.maxNewTokens) || options.maxNewTokens < 1)
    throw problem(`maxNewTokens ${options.maxNewTokens} is not a positive whole number`);
}
