import type { Architecture } from './architecture.ts';
import { noWindow } from './qwen2.ts';

/** Qwen3, dense. Source: transformers/models/qwen3. */
export const qwen3: Architecture<'qwen3'> = {
  name: 'qwen3',
  className: 'Qwen3ForCausalLM',
  attentionBias: false,
  queryKeyNorm: true,
  absent: { keyValueHeads: 32, headDim: 128 },
  slidingWindow: (json, reject) => noWindow('qwen3', json, reject),
  configKeys: () => ({
    attention: { attention_bias: false },
    window: { use_sliding_window: false, sliding_window: null },
  }),
  gguf: { alternatingRows: false },
};
