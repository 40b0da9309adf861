/** Writes a model's tokenizer beside an export, so that Transformers and vLLM load the folder as it is. */
import { copyFile, mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTokenizerSource } from './tokenizerSource.ts';

/** Everything in a Hugging Face folder that belongs to the tokenizer or to generation. */
const tokenizerFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'vocab.json',
  'merges.txt',
  'tokenizer.model',
  'generation_config.json',
];

/**
 * Writes tokenizer.json, tokenizer_config.json (with the chat template), special_tokens_map.json and generation_config.json into `outputFolder`:
 * copies of a Hugging Face folder's own files, or built from a GGUF file's metadata. Returns the names of the files written.
 */
export async function writeTokenizerFiles(modelPath: string, outputFolder: string): Promise<string[]> {
  await mkdir(outputFolder, { recursive: true });
  const source = await readTokenizerSource(modelPath);
  if ((await stat(modelPath)).isDirectory()) {
    const copied: string[] = [];
    for (const name of tokenizerFiles) {
      const from = join(modelPath, name);
      if (!(await stat(from).catch(() => undefined))?.isFile()) continue;
      await copyFile(from, join(outputFolder, name));
      copied.push(name);
    }
    return copied;
  }
  const [eosToken] = source.eosTokens;
  const files: Record<string, unknown> = {
    'tokenizer.json': source.json,
    'tokenizer_config.json': {
      ...source.config,
      ...(source.chatTemplate === undefined ? {} : { chat_template: source.chatTemplate }),
    },
    'special_tokens_map.json': source.specialTokenTexts,
    'generation_config.json': {
      ...(source.bosToken === undefined ? {} : { bos_token_id: source.bosToken }),
      ...(eosToken === undefined ? {} : { eos_token_id: source.eosTokens.length > 1 ? source.eosTokens : eosToken }),
      ...(source.padToken === undefined ? {} : { pad_token_id: source.padToken }),
    },
  };
  for (const [name, content] of Object.entries(files))
    await writeFile(join(outputFolder, name), `${JSON.stringify(content, null, 2)}\n`);
  return Object.keys(files);
}
