/** Writes a whole model as a Hugging Face folder. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DecoderConfig } from '../model/config.ts';
import { expectedTensors } from '../model/weights.ts';
import { writeTokenizerFiles } from '../tokenizer/tokenizerFiles.ts';
import { configText } from './configJson.ts';
import { writeSafetensors } from './safetensors.ts';

export interface MergedFolder {
  config: DecoderConfig;
  /** Called once for every tensor of the decoder (expectedTensors), sorted by name; only one is held at a time. */
  tensor: (name: string) => Promise<Float32Array>;
  /** Model that the tokenizer is taken from: a Hugging Face folder or a GGUF file. */
  tokenizerPath: string;
  onProgress?: (done: number, total: number) => void;
}

/**
 * Writes model.safetensors (float32, metadata only `format`), config.json that Transformers 5 and 4 read, and the tokenizer's files.
 * The same arguments give the same bytes.
 */
export async function writeMergedFolder(
  outputPath: string,
  { config, tensor, tokenizerPath, onProgress }: MergedFolder,
): Promise<void> {
  await mkdir(outputPath, { recursive: true });
  const shapes = expectedTensors(config);
  let done = 0;
  const tensors = [...shapes].map(([name, shape]) => ({
    name,
    shape,
    data: async () => {
      const values = await tensor(name);
      onProgress?.(++done, shapes.size);
      return values;
    },
  }));
  await writeSafetensors(join(outputPath, 'model.safetensors'), tensors, { format: 'pt' });
  await writeFile(join(outputPath, 'config.json'), configText(config));
  await writeTokenizerFiles(tokenizerPath, outputPath);
}
