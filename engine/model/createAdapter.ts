import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAdapterConfig } from '../formats/peft.ts';
import { EngineError } from '../policy.ts';
import type { LoraSettings, PolicyEngine } from '../policy.ts';
import { ADAPTER_CONFIG_FILE, tensorNameOf, writeAdapterTensors } from './adapter.ts';
import type { AdaptedModule, Adapter } from './adapter.ts';
import type { DecoderConfig } from './config.ts';
import { patternValue } from './modulePatterns.ts';
import { createAllWeights } from './trainedWeights.ts';
import { expectedTensors, openModel } from './weights.ts';

export const PROJECTIONS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

/**
 * Writes a fresh PEFT folder for a model, or, for `all`, the model's own weights to be trained; its bytes depend on the request only. Throws
 * EngineError('invalidInput') for unknown targets.
 */
export async function createAdapter(request: Parameters<PolicyEngine['createAdapter']>[0]): Promise<void> {
  const { model, lora, seed, outputPath, baseModelName } = request;
  if (lora === 'all') return createAllWeights(model.modelPath, outputPath);
  const files = await openModel(model.modelPath);
  await files.close();
  await writeAdapterTensors(outputPath, freshAdapter(files.config, lora, seed).tensors);
  await writeFile(join(outputPath, ADAPTER_CONFIG_FILE), writeAdapterConfig(lora, baseModelName));
}

/**
 * A fresh adapter: A uniform in +-1/sqrt(in) (kaiming_uniform with a = sqrt 5, as PEFT's reset_lora_parameters), B zero. The numbers depend on
 * the seed, the tensor's name and its shape only. Throws EngineError('invalidInput') for unknown targets, ranks that are none, unused patterns.
 */
export function freshAdapter(config: DecoderConfig, lora: LoraSettings, seed: string): Adapter {
  const targets = new Set(lora.targets);
  const unknown = lora.targets.find((target) => !(PROJECTIONS as readonly string[]).includes(target));
  if (unknown !== undefined)
    throw new EngineError('invalidInput', `LoRA target '${unknown}' is none of ${PROJECTIONS.join(', ')}`);
  checkRanks(lora);
  const modules: AdaptedModule[] = [];
  const tensors: Adapter['tensors'] = new Map();
  for (const [name, shape] of expectedTensors(config)) {
    const module = name.replace(/\.weight$/, '');
    if (!name.endsWith('.weight') || !targets.has(module.split('.').at(-1)!)) continue;
    const [outputs, inputs] = shape as [number, number];
    const rank = patternValue(lora.rankPattern, module, 'LoRA rankPattern') ?? lora.rank;
    const alpha = patternValue(lora.alphaPattern, module, 'LoRA alphaPattern') ?? lora.alpha;
    modules.push({ module, rank, scale: alpha / (lora.rankStabilized ? Math.sqrt(rank) : rank), inputs, outputs });
    const uniform = uniformNumbers(`${seed}/${module}`, rank * inputs, 1 / Math.sqrt(inputs));
    tensors.set(tensorNameOf(module, 'A'), { data: uniform, shape: [rank, inputs] });
    tensors.set(tensorNameOf(module, 'B'), { data: new Float32Array(outputs * rank), shape: [outputs, rank] });
  }
  if (modules.length === 0) throw new EngineError('invalidInput', 'LoRA has no targets');
  checkKeysAreUsed(lora, modules);
  return { modules, tensors };
}

function checkRanks({ rank, rankPattern = {}, alphaPattern = {} }: LoraSettings): void {
  for (const value of [rank, ...Object.values(rankPattern)]) {
    if (!Number.isInteger(value) || value < 1)
      throw new EngineError('invalidInput', `LoRA rank ${value} is no positive integer`);
  }
  for (const value of Object.values(alphaPattern)) {
    if (!(value > 0 && Number.isFinite(value)))
      throw new EngineError('invalidInput', `LoRA alpha ${value} is no positive number`);
  }
}

/** PEFT passes over a key that fits no adapted module: a misspelt one would change nothing. */
function checkKeysAreUsed(lora: LoraSettings, modules: readonly AdaptedModule[]): void {
  for (const field of ['rankPattern', 'alphaPattern'] as const) {
    for (const [key, value] of Object.entries(lora[field] ?? {})) {
      const fits = modules.some(({ module }) => patternValue({ [key]: value }, module, `LoRA ${field}`) !== undefined);
      if (!fits)
        throw new EngineError('invalidInput', `LoRA ${field}: the key '${key}' fits none of the adapted modules`);
    }
  }
}

/** Numbers uniform in [-bound, bound), 24 bits each, from a SHAKE-256 stream of the key. */
function uniformNumbers(key: string, count: number, bound: number): Float32Array {
  const bytes = createHash('shake256', { outputLength: count * 4 })
    .update(key)
    .digest();
  return Float32Array.from(
    { length: count },
    (_, i) => ((bytes.readUInt32LE(i * 4) >>> 8) / 2 ** 24) * 2 * bound - bound,
  );
}
