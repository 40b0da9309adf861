import type { DecoderConfig } from '../model/config.ts';
import { patternValue } from '../model/modulePatterns.ts';
import { expectedTensors } from '../model/weights.ts';
import type { LoraSettings } from '../policy.ts';

/**
 * Matrix products of a LoRA forward and backward pass, 10^9 operations (a multiplication and an addition are two), by the usual count for model
 * FLOPs utilisation (PaLM, Chowdhery et al. 2022, appendix B): what the mathematics asks for, so that computing something again counts nothing;
 * attention over the whole square. Frozen weights have no gradient of their own: forward and input gradient, 4 operations a parameter and token.
 * The head counts for completion tokens.
 */
export function nominalGflop(
  config: DecoderConfig,
  lora: Pick<LoraSettings, 'rank' | 'rankPattern' | 'targets'>,
  { rows, length, completionTokens }: { rows: number; length: number; completionTokens: number },
): number {
  const tokens = rows * length;
  const matrices = [...expectedTensors(config)].filter(([, shape]) => shape.length === 2);
  let operations = 4 * config.vocabularySize * config.hiddenSize * completionTokens;
  for (const [name, [outputs, inputs]] of matrices) {
    if (/embed_tokens|lm_head/.test(name)) continue;
    operations += 4 * outputs! * inputs! * tokens;
    if (!lora.targets.some((target) => name.includes(`.${target}.`))) continue;
    const module = name.replace(/\.weight$/, '');
    const rank = patternValue(lora.rankPattern, module, 'LoRA rankPattern') ?? lora.rank;
    // Forward, input gradient and weight gradient of both small matrices.
    operations += 6 * rank * (outputs! + inputs!) * tokens;
  }
  // Scores and mixtures: two products forward, four backward.
  operations += 12 * config.layers * config.heads * config.headDim * length * tokens;
  return operations / 1e9;
}
