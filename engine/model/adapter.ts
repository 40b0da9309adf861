import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.ts';
import type { Graph } from '../graph/builder.ts';
import { EngineError } from '../policy.ts';
import type { DecoderConfig } from './config.ts';
import type { LoraPairs } from './decoder.ts';
import { patternValue } from './modulePatterns.ts';
import { expectedTensors, firstNotFinite } from './weights.ts';

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

export const ADAPTER_FILE = 'adapter_model.safetensors';
export const ADAPTER_CONFIG_FILE = 'adapter_config.json';

export const tensorNameOf = (module: string, matrix: 'A' | 'B') => `base_model.model.${module}.lora_${matrix}.weight`;

/** PiSSA, OLoRA and others also change the base model's weights whenever PEFT loads the adapter: W + scale B A would be another model. */
const PLAIN_INITIALISATIONS = ['gaussian', 'orthogonal', 'eva', 'mica'] as const;
const absent = (what: string) => z.null(`${what} is not supported`).optional();
const off = (what: string) => z.literal(false, `${what} is not supported`).nullish();

const adapterConfigSchema = z.looseObject({
  peft_type: z.literal('LORA'),
  r: z.int().positive(),
  lora_alpha: z.number().positive(),
  use_rslora: z.boolean().default(false),
  rank_pattern: z.record(z.string(), z.int().positive()).nullish(),
  alpha_pattern: z.record(z.string(), z.number().positive()).nullish(),
  use_dora: off('DoRA'),
  fan_in_fan_out: off('a transposed weight'),
  bias: z.literal('none', 'training biases is not supported').nullish(),
  modules_to_save: z.array(z.string()).max(0, 'training whole modules beside the adapter is not supported').nullish(),
  trainable_token_indices: absent('training single tokens of the embedding'),
  init_lora_weights: z
    .union([z.boolean(), z.enum(PLAIN_INITIALISATIONS)], {
      error: ({ input }) =>
        `${JSON.stringify(input)} changes the base model's weights too: save the adapter converted to a plain LoRA (PEFT's path_initial_model_for_weight_conversion)`,
    })
    .nullish(),
  lora_bias: z.literal(false, 'biases are not supported').nullish(),
  use_qalora: off('QALoRA'),
  alora_invocation_tokens: absent('an adapter that begins at certain tokens'),
  layer_replication: absent('repeating layers'),
  use_bdlora: absent('block-diagonal LoRA'),
  arrow_config: absent('routing between adapters'),
  kasa_config: absent('KaSA'),
  monteclora_config: absent('MonteCLoRA'),
});

/**
 * Reads a PEFT folder for a model. Every pair of lora_A and lora_B in the file is used; ranks come from the shapes, scales from the configuration
 * (rank_pattern and alpha_pattern included).
 * Throws EngineError('invalidInput') naming file and field or tensor.
 */
export async function readAdapter(folder: string, config: DecoderConfig): Promise<Adapter> {
  const configPath = join(folder, ADAPTER_CONFIG_FILE);
  const settings = await readAdapterConfig(configPath);
  const path = join(folder, ADAPTER_FILE);
  const file = await readSafetensors(path);
  try {
    const tensors: Adapter['tensors'] = new Map();
    const modules: AdaptedModule[] = [];
    const unused = new Set(file.tensors.keys());
    for (const [name, shape] of expectedTensors(config)) {
      // The decoder adapts projections alone: a pair of lm_head would count when merged and be missing in training.
      if (!name.endsWith('_proj.weight')) continue;
      const module = name.replace(/\.weight$/, '');
      const names = [tensorNameOf(module, 'A'), tensorNameOf(module, 'B')] as const;
      const entries = names.map((tensor) => file.tensors.get(tensor));
      if (!entries[0] && !entries[1]) continue;
      if (!entries[0] || !entries[1])
        throw new EngineError(
          'invalidInput',
          `${path}: '${module}' has one of lora_A and lora_B only. Export the adapter again.`,
        );
      const [outputs, inputs] = shape as [number, number];
      const rank = entries[0].shape[0] ?? 0;
      if (entries[0].shape.join() !== [rank, inputs].join() || entries[1].shape.join() !== [outputs, rank].join()) {
        throw new EngineError(
          'invalidInput',
          `${path}: '${module}' has lora_A [${entries[0].shape.join(', ')}] and lora_B [${entries[1].shape.join(', ')}], but the model's weight is [${outputs}, ${inputs}]. Use the adapter on the model that it was trained on.`,
        );
      }
      const configured = patternValue(settings.rank_pattern, module, `${configPath}: rank_pattern`) ?? settings.r;
      if (rank !== configured)
        throw new EngineError(
          'invalidInput',
          `${path}: '${module}' has rank ${rank}, but ${ADAPTER_CONFIG_FILE} says ${configured}. Configuration and tensors are of different adapters: export it again.`,
        );
      const alpha = patternValue(settings.alpha_pattern, module, `${configPath}: alpha_pattern`) ?? settings.lora_alpha;
      modules.push({ module, rank, scale: alpha / (settings.use_rslora ? Math.sqrt(rank) : rank), inputs, outputs });
      for (const tensor of names) {
        const data = await file.readFloat32(tensor);
        const index = firstNotFinite(data);
        if (index >= 0)
          throw new EngineError(
            'notFinite',
            `${path}: tensor '${tensor}' holds ${data[index]} at element ${index}, which is not finite: its training diverged, or the file is damaged. Use an earlier adapter.`,
          );
        tensors.set(tensor, { data, shape: [...file.tensors.get(tensor)!.shape] });
        unused.delete(tensor);
      }
    }
    for (const tensor of unused) throw unusableTensor(path, tensor);
    if (modules.length === 0)
      throw new EngineError('invalidInput', `${path}: no LoRA tensors. Export the adapter again.`);
    return { modules, tensors };
  } finally {
    await file.close();
  }
}

function unusableTensor(path: string, tensor: string): EngineError {
  const elsewhere = /\.(lm_head|embed_tokens|norm|\w+_layernorm|[qk]_norm)\./.exec(tensor)?.[1];
  return new EngineError(
    'invalidInput',
    elsewhere
      ? `${path}: tensor '${tensor}' changes ${elsewhere}, which is not supported: only projections (q, k, v, o, gate, up, down) are adapted. Train the adapter on these alone.`
      : `${path}: tensor '${tensor}' belongs to no projection of this model. Use the adapter on the model that it was trained on.`,
  );
}

async function readAdapterConfig(path: string): Promise<z.infer<typeof adapterConfigSchema>> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new EngineError(
      'invalidInput',
      `${path}: not readable as JSON (${error instanceof Error ? error.message : String(error)}). Give the folder that PEFT's save_pretrained wrote.`,
      { cause: error },
    );
  }
  const parsed = adapterConfigSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new EngineError(
      'invalidInput',
      `${path}: ${issue.path.join('.') || 'the file'}: ${issue.message}; supported are plain LoRA adapters (PEFT)`,
    );
  }
  return parsed.data;
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
