import type { Architecture } from './architecture.ts';

/** Llama 1 to 3, SmolLM 1 and 2. Source: transformers/models/llama. */
export const llama: Architecture<'llama'> = {
  name: 'llama',
  className: 'LlamaForCausalLM',
  attentionBias: false,
  queryKeyNorm: false,
  slidingWindow: () => undefined,
  configKeys: () => ({ attention: { attention_bias: false }, feedForward: { mlp_bias: false } }),
  gguf: { alternatingRows: true },
};
