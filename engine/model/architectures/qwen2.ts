import type { Architecture, Reject } from './architecture.ts';

/** Qwen2 and Qwen2.5. Source: transformers/models/qwen2. */
export const qwen2: Architecture<'qwen2'> = {
  name: 'qwen2',
  className: 'Qwen2ForCausalLM',
  attentionBias: true,
  queryKeyNorm: false,
  absent: { keyValueHeads: 32 },
  slidingWindow: (json, reject) => noWindow('qwen2', json, reject),
  configKeys: () => ({ window: { use_sliding_window: false, sliding_window: null } }),
  gguf: { alternatingRows: false },
};

/** Qwen's windows apply to some layers only, which is not supported; the published models have them switched off. */
export function noWindow(name: string, json: Record<string, unknown>, reject: Reject): undefined {
  const layerTypes = json['layer_types'];
  const windowed = Array.isArray(layerTypes) && layerTypes.includes('sliding_attention');
  if (json['use_sliding_window'] === true && (windowed || layerTypes === undefined || layerTypes === null))
    throw reject(`"use_sliding_window": true is not supported for ${name}. Use a model without sliding windows.`);
  return undefined;
}
