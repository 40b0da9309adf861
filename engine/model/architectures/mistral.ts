import type { Architecture } from './architecture.ts';

/** Mistral 7B. In GGUF it is stored as `llama`. Source: transformers/models/mistral. */
export const mistral: Architecture<'mistral'> = {
  name: 'mistral',
  className: 'MistralForCausalLM',
  attentionBias: false,
  queryKeyNorm: false,
  absent: { keyValueHeads: 8 },
  slidingWindow(json, reject) {
    // Transformers' default where the key is absent; null says "no window".
    const window = json['sliding_window'] === undefined ? 4096 : json['sliding_window'];
    if (window === null) return undefined;
    if (!Number.isSafeInteger(window) || (window as number) < 1)
      throw reject(`"sliding_window" must be a whole number or null, not ${JSON.stringify(window)}.`);
    return window as number;
  },
  configKeys: ({ slidingWindow }) => ({
    attention: { attention_bias: false },
    window: { sliding_window: slidingWindow ?? null },
  }),
};
