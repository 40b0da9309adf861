import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExternalData } from '../graph/builder.ts';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.ts';
import { EngineError } from '../policy.ts';
import type { PolicyWeights } from '../policy.ts';
import type { DecoderConfig } from './config.ts';
import { expectedTensors, openModel } from './weights.ts';

/** A model's weights as float32 in one file that ONNX Runtime maps: a safetensors file, of which graphs name byte ranges. */
export interface WeightFile {
  config: DecoderConfig;
  /** Folder of the file: what `openSession` needs. */
  folder: string;
  path: string;
  /** Where a tensor's bytes lie. */
  locate(name: string): ExternalData;
}

const FILE_NAME = 'weights.safetensors';

/**
 * The converted weights of a model, written to the cache at first use, under the model's digest.
 * Throws EngineError('invalidInput') if the model is malformed.
 */
export async function convertedWeights(
  model: Pick<PolicyWeights, 'modelPath' | 'modelDigest'>,
  cachePath: string,
): Promise<WeightFile> {
  const folder = join(cachePath, 'weights', model.modelDigest.replaceAll(/[^A-Za-z0-9.-]/g, '_'));
  const path = join(folder, FILE_NAME);
  const files = await openModel(model.modelPath);
  try {
    if (!(await exists(path))) {
      await mkdir(folder, { recursive: true });
      const tensors = [...expectedTensors(files.config)].map(([name, shape]) => ({
        name,
        shape,
        data: () => files.readTensor(name),
      }));
      await writeSafetensors(path, tensors, { format: 'pt' });
    }
    return await openWeightFile(files.config, folder, FILE_NAME);
  } finally {
    await files.close();
  }
}

/** A float32 safetensors file of a whole model as a weight file. Throws EngineError('invalidInput') if a tensor is not float32. */
export async function openWeightFile(config: DecoderConfig, folder: string, fileName: string): Promise<WeightFile> {
  const path = join(folder, fileName);
  const file = await readSafetensors(path);
  const tensors = file.tensors;
  await file.close();
  return {
    config,
    folder,
    path,
    locate(name) {
      const entry = tensors.get(name);
      if (!entry || entry.dtype !== 'F32')
        throw new EngineError(
          'invalidInput',
          `${path}: no float32 tensor '${name}'; delete the file, it is made again`,
        );
      return { fileName, offset: entry.position, byteLength: entry.byteLength };
    },
  };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
