import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.ts';
import type { Graph } from '../graph/builder.ts';
import { EngineError } from '../policy.ts';
import type { LoraSettings } from '../policy.ts';
import type { DecoderConfig } from './config.ts';
import type { LoraPairs } from './decoder.ts';
import { expectedTensors } from './weights.ts';

/** One adapted projection. */
export interface AdaptedModule {
  /** e.g. `model.layers.0.self_attn.q_proj` */
  module: string;
  rank: number;
  /** alpha / rank, or alpha / sqrt(rank). */
  scale: number;
  inputs: number;
  outputs: number;
}

/** A LoRA adapter: which projections it changes, and its tensors under PEFT's names. */
export interface Adapter {
  /** In the order of the model's layers. */
  modules: AdaptedModule[];
  /** `base_model.model.<module>.lora_A.weight` [rank, in], `...lora_B.weight` [out, rank]. */
  tensors: Map<string, { data: Float32Array; shape: number[] }>;
}

export const PROJECTIONS = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

export const ADAPTER_FILE = 'adapter_model.safetensors';
export const ADAPTER_CONFIG_FILE = 'adapter_config.json';

export const tensorNameOf = (module: string, matrix: 'A' | 'B') => `base_model.model.${module}.lora_${matrix}.weight`;

const adapterConfigSchema = z.looseObject({
  peft_type: z.literal('LORA'),
  r: z.int().positive(),
  lora_alpha: z.number().positive(),
  use_rslora: z.boolean().default(false),
  rank_pattern: z.record(z.string(), z.int().positive()).nullish(),
  alpha_pattern: z.record(z.string(), z.number().positive()).nullish(),
  use_dora: z.literal(false).nullish(),
  fan_in_fan_out: z.literal(false).nullish(),
  bias: z.literal('none').nullish(),
  modules_to_save: z.array(z.string()).max(0).nullish(),
});

/**
 * Reads a PEFT folder for a model. Every pair of lora_A and lora_B in the file is used; ranks come from the shapes, scales from the configuration
 * (rank_pattern and alpha_pattern included).
 * Throws EngineError('invalidInput') naming file and field or tensor.
 */
export async function readAdapter(folder: string, config: DecoderConfig): Promise<Adapter> {
  const settings = await readAdapterConfig(join(folder, ADAPTER_CONFIG_FILE));
  const path = join(folder, ADAPTER_FILE);
  const file = await readSafetensors(path);
  try {
    const tensors: Adapter['tensors'] = new Map();
    const modules: AdaptedModule[] = [];
    const unused = new Set(file.tensors.keys());
    for (const [name, shape] of expectedTensors(config)) {
      const module = name.replace(/\.weight$/, '');
      const names = [tensorNameOf(module, 'A'), tensorNameOf(module, 'B')] as const;
      const entries = names.map((tensor) => file.tensors.get(tensor));
      if (!entries[0] && !entries[1]) continue;
      if (!entries[0] || !entries[1])
        throw new EngineError('invalidInput', `${path}: '${module}' has one of lora_A and lora_B only`);
      const [outputs, inputs] = shape as [number, number];
      const rank = entries[0].shape[0]!;
      if (entries[0].shape.join() !== [rank, inputs].join() || entries[1].shape.join() !== [outputs, rank].join()) {
        throw new EngineError(
          'invalidInput',
          `${path}: '${module}' has lora_A [${entries[0].shape.join(', ')}] and lora_B [${entries[1].shape.join(', ')}], but the model's weight is [${outputs}, ${inputs}]`,
        );
      }
      const alpha = patternValue(settings.alpha_pattern, module) ?? settings.lora_alpha;
      modules.push({ module, rank, scale: alpha / (settings.use_rslora ? Math.sqrt(rank) : rank), inputs, outputs });
      for (const tensor of names) {
        tensors.set(tensor, { data: await file.readFloat32(tensor), shape: [...file.tensors.get(tensor)!.shape] });
        unused.delete(tensor);
      }
    }
    if (unused.size > 0)
      throw new EngineError(
        'invalidInput',
        `${path}: tensor '${[...unused][0]}' belongs to no projection of this model`,
      );
    if (modules.length === 0) throw new EngineError('invalidInput', `${path}: no LoRA tensors`);
    return { modules, tensors };
  } finally {
    await file.close();
  }
}

async function readAdapterConfig(path: string): Promise<z.infer<typeof adapterConfigSchema>> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new EngineError(
      'invalidInput',
      `${path}: not readable as JSON (${error instanceof Error ? error.message : String(error)})`,
      { cause: error },
    );
  }
  const parsed = adapterConfigSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new EngineError(
      'invalidInput',
      `${path}: ${issue.path.join('.')}: ${issue.message}; supported are plain LoRA adapters (PEFT)`,
    );
  }
  return parsed.data;
}

/** PEFT matches a pattern's key as a regular expression at the end of the module's name. */
function patternValue(pattern: Record<string, number> | null | undefined, module: string): number | undefined {
  for (const [key, value] of Object.entries(pattern ?? {})) {
    if (new RegExp(`(.*\\.)?(${key})$`).test(module)) return value;
  }
  return undefined;
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

/** Writes adapter_model.safetensors: tensors sorted by name, metadata only `format`. */
export async function writeAdapterTensors(folder: string, tensors: Adapter['tensors']): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeSafetensors(
    join(folder, ADAPTER_FILE),
    [...tensors].map(([name, { data, shape }]) => ({ name, shape, data })),
    { format: 'pt' },
  );
}

/** Writes a PEFT folder that `peft.PeftModel.from_pretrained` reads. */
export async function writeAdapter(
  folder: string,
  adapter: Adapter,
  lora: LoraSettings,
  baseModelName: string,
): Promise<void> {
  await writeAdapterTensors(folder, adapter.tensors);
  const settings = {
    base_model_name_or_path: baseModelName,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    lora_alpha: lora.alpha,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: lora.rank,
    target_modules: [...lora.targets].sort(),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: lora.rankStabilized,
  };
  await writeFile(join(folder, ADAPTER_CONFIG_FILE), `${JSON.stringify(settings, undefined, 2)}\n`);
}

/** Declares an adapter's tensors as inputs of a graph, under their PEFT names. */
export function declareAdapter(graph: Graph, modules: readonly AdaptedModule[]): LoraPairs {
  return new Map(
    modules.map(({ module, rank, scale, inputs, outputs }) => [
      module,
      {
        a: graph.input(tensorNameOf(module, 'A'), 'float32', [rank, inputs]),
        b: graph.input(tensorNameOf(module, 'B'), 'float32', [outputs, rank]),
        scale,
      },
    ]),
  );
}
