/** Model families that this engine does not run, and what it would need for each, by name without hyphens and underscores. */
const parallel = 'attention and feed-forward layer side by side';
const experts = 'mixtures of experts';
const stateSpace = 'state-space layers';
const images = 'an encoder of images';
const gemma = 'norms that multiply by 1 + weight, a GELU gate, scaled embeddings';
const normsAfter = 'norms after the attention and feed-forward layers';

const missing: Readonly<Record<string, string>> = {
  bloom: 'ALiBi positions, LayerNorm, GELU, one matrix for q, k and v',
  cohere: `LayerNorm, ${parallel}, rotary positions of alternating numbers, scaled logits`,
  cohere2: `LayerNorm, ${parallel}, rotary positions of alternating numbers, windows in some layers`,
  commandr: `LayerNorm, ${parallel}, rotary positions of alternating numbers, scaled logits`,
  deepseek2: `${experts}, compressed keys and values`,
  deepseekv2: `${experts}, compressed keys and values`,
  deepseekv3: `${experts}, compressed keys and values`,
  falcon: `LayerNorm, ${parallel}, GELU without a gate, one matrix for q, k and v`,
  falconh1: stateSpace,
  falconmamba: stateSpace,
  gemma,
  gemma2: `${gemma}, ${normsAfter}, capped logits and attention scores, windows in every other layer`,
  gemma3: `${gemma}, ${normsAfter}, norms of queries and keys, windows and another rotary base in some layers`,
  gemma3text: `${gemma}, ${normsAfter}, norms of queries and keys, windows and another rotary base in some layers`,
  glm: 'one matrix for gate and up, rotary positions of alternating numbers on a part of the head',
  glm4: `one matrix for gate and up, rotary positions of alternating numbers on a part of the head, ${normsAfter}`,
  gpt2: 'learned positions, LayerNorm, GELU without a gate, one matrix for q, k and v',
  gptneox: `LayerNorm, ${parallel}, GELU without a gate, rotary positions on a part of the head, one matrix for q, k and v`,
  gptoss: `${experts}, attention sinks, windows in every other layer`,
  granite: 'factors on embeddings, attention scores, residuals and logits',
  granitemoe: `${experts}, factors on embeddings, attention scores, residuals and logits`,
  jamba: `${stateSpace}, ${experts}`,
  llama4: `${experts}, layers without rotary positions, attention in chunks`,
  llama4text: `${experts}, layers without rotary positions, attention in chunks`,
  llava: images,
  mamba: stateSpace,
  mamba2: stateSpace,
  mistral3: images,
  mixtral: experts,
  mllama: `${images}, attention across to it`,
  nemotron: 'LayerNorm, squared ReLU without a gate, rotary positions on a part of the head',
  olmo: 'LayerNorm without weights',
  olmo2: `${normsAfter} instead of before, norms over all heads of queries and keys`,
  olmo3: `${normsAfter} instead of before, norms over all heads of queries and keys, windows in some layers`,
  opt: 'learned positions, LayerNorm, ReLU without a gate, biases throughout',
  phi: `LayerNorm, ${parallel}, GELU without a gate, rotary positions on a part of the head`,
  phi2: `LayerNorm, ${parallel}, GELU without a gate, rotary positions on a part of the head`,
  phi3: 'one matrix for q, k and v, one for gate and up',
  phimoe: `${experts}, LayerNorm`,
  qwen2moe: experts,
  qwen2vl: images,
  qwen25vl: images,
  qwen3moe: experts,
  qwen3next: `${experts}, layers of linear attention`,
  qwen3vl: images,
  smollm3: 'layers without rotary positions',
  stablelm: 'LayerNorm, rotary positions on a part of the head',
  starcoder2: 'LayerNorm, GELU without a gate, biases throughout',
  t5: 'an encoder, relative positions',
};

/** What a family needs that this engine does not have, in words; undefined for one that nobody has looked at. */
export function whatIsMissing(name: string): string | undefined {
  const key = name.toLowerCase().replace(/[-_.]/g, '');
  return Object.hasOwn(missing, key) ? missing[key] : undefined;
}
