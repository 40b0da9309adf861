/** Which files of a Hugging Face folder make up a model for this system; everything else (other formats, cards) is left alone. */
const names = new Set([
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'model.safetensors',
  'model.safetensors.index.json',
]);

/** @param path relative to the model's folder */
export function isModelFile(path: string): boolean {
  return names.has(path) || /^[A-Za-z0-9][A-Za-z0-9._-]*-\d{5}-of-\d{5}\.safetensors$/.test(path);
}
