import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sampler } from '../generate/sampler.ts';
import { openSampler } from '../generate/sampler.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_FILE } from '../model/adapter.ts';
import { policyWeights } from '../model/trainedWeights.ts';
import { expectedTensors } from '../model/weights.ts';
import type { EngineSettings, OnProgress, PolicyWeights, SampleRequest } from '../policy.ts';

interface OpenSampler {
  key: string;
  sampler: Sampler;
  weightBytes: number;
}

/**
 * The compiled sampler of one policy, kept for the next call with the same model and the same adapter (by content, wherever its folder is).
 */
export class OpenSamplers {
  private readonly settings: EngineSettings;
  private current: OpenSampler | undefined;

  constructor(settings: EngineSettings) {
    this.settings = settings;
  }

  /** Bytes of the weights of the model that is open. */
  get weightBytes(): number {
    return this.current?.weightBytes ?? 0;
  }

  /**
   * The sampler of a policy. Opening one releases the one before first: two would not fit on a small machine.
   * Throws EngineError('invalidInput') if model or adapter is malformed.
   * @param weights see SampleRequest
   * @param beforeLargeModel called before a model of more than `largeBytes` of weights is used
   */
  async open(
    policy: PolicyWeights,
    weights: SampleRequest['weights'],
    {
      onProgress,
      beforeLargeModel,
      largeBytes,
    }: { onProgress: OnProgress; beforeLargeModel: () => Promise<void>; largeBytes: number },
  ): Promise<Sampler> {
    const adapterKey = policy.adapterPath ? await adapterDigest(policy.adapterPath) : 'base';
    const key = `${policy.modelDigest} ${adapterKey} ${weights ?? 'float32'}`;
    if (this.current?.key === key) return this.current.sampler;
    await this.release();
    onProgress({ phase: 'load', done: 0, total: 1, tokens: 0 });
    const { weightFile, adapter } = await policyWeights(policy, this.settings.cachePath);
    const weightBytes = [...expectedTensors(weightFile.config).values()]
      .map((shape) => 4 * shape.reduce((product, size) => product * size))
      .reduce((sum, bytes) => sum + bytes);
    if (weightBytes > largeBytes) await beforeLargeModel();
    const sampler = await openSampler(weightFile, adapter, { ...this.settings, ...(weights ? { weights } : {}) });
    this.current = { key, sampler, weightBytes };
    onProgress({ phase: 'load', done: 1, total: 1, tokens: 0 });
    return sampler;
  }

  async release(): Promise<void> {
    const released = this.current;
    this.current = undefined;
    await released?.sampler.release();
  }
}

/** Digest of what an adapter folder means: its tensors and its configuration. */
async function adapterDigest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const file of [ADAPTER_CONFIG_FILE, ADAPTER_FILE]) {
    // A missing file is reported by readAdapter, which says what to do.
    hash.update(await readFile(join(folder, file)).catch(() => new Uint8Array()));
  }
  return hash.digest('hex');
}
