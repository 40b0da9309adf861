import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAdapterConfig } from '../formats/peft.ts';
import { EngineError } from '../policy.ts';
import type { LoraSettings, PolicyEngine } from '../policy.ts';
import { ADAPTER_CONFIG_FILE, tensorNameOf, writeAdapterTensors } from './adapter.ts';
import type { AdaptedModule, Adapter } from './adapter.ts';
import type { DecoderConfig } from './config.ts';
import { expectedTensors, openModel } from './weights.ts';

export const PROJECTIONS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

/** Writes a fresh PEFT folder for a model; its bytes depend on the request only. Throws EngineError('invalidInput') for unknown targets. */
export async function createAdapter(request: Parameters<PolicyEngine['createAdapter']>[0]): Promise<void> {
  const { model, lora, seed, outputPath, baseModelName } = request;
  const files = await openModel(model.modelPath);
  await files.close();
  await writeAdapterTensors(outputPath, freshAdapter(files.config, lora, seed).tensors);
  await writeFile(join(outputPath, ADAPTER_CONFIG_FILE), writeAdapterConfig(lora, baseModelName));
}

/**
 * A fresh adapter: A uniform in +-1/sqrt(in) (kaiming_uniform with a = sqrt 5, as PEFT's reset_lora_parameters), B zero. The numbers depend on
 * the seed and the tensor's name only.
 */
export function freshAdapter(config: DecoderConfig, lora: LoraSettings, seed: string): Adapter {
  const targets = new Set(lora.targets);
  const unknown = lora.targets.find((target) => !(PROJECTIONS as readonly string[]).includes(target));
  if (unknown !== undefined)
    throw new EngineError('invalidInput', `LoRA target '${unknown}' is none of ${PROJECTIONS.join(', ')}`);
  if (!Number.isInteger(lora.rank) || lora.rank < 1)
    throw new EngineError('invalidInput', `LoRA rank ${lora.rank} is no positive integer`);
  const modules: AdaptedModule[] = [];
  const tensors: Adapter['tensors'] = new Map();
  for (const [name, shape] of expectedTensors(config)) {
    const module = name.replace(/\.weight$/, '');
    if (!name.endsWith('.weight') || !targets.has(module.split('.').at(-1)!)) continue;
    const [outputs, inputs] = shape as [number, number];
    modules.push({
      module,
      rank: lora.rank,
      scale: lora.alpha / (lora.rankStabilized ? Math.sqrt(lora.rank) : lora.rank),
      inputs,
      outputs,
    });
    const uniform = uniformNumbers(`${seed}/${module}`, lora.rank * inputs, 1 / Math.sqrt(inputs));
    tensors.set(tensorNameOf(module, 'A'), { data: uniform, shape: [lora.rank, inputs] });
    tensors.set(tensorNameOf(module, 'B'), {
      data: new Float32Array(outputs * lora.rank),
      shape: [outputs, lora.rank],
    });
  }
  if (modules.length === 0) throw new EngineError('invalidInput', 'LoRA has no targets');
  return { modules, tensors };
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
