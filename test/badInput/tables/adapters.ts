/** Malformed PEFT folders. */
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readAdapter, tensorNameOf, writeAdapterTensors } from '../../../engine/model/adapter.ts';
import type { BadInput } from '../badInput.ts';
import { sizeOf, tinyConfig } from '../tinyFolder.ts';

interface Changes {
  config?: Record<string, unknown>;
  /** Whole text of adapter_config.json. */
  text?: string;
  tensors?: Record<string, { shape: number[]; fill?: number } | undefined>;
  after?: (path: string) => Promise<void>;
}

const query = 'model.layers.0.self_attn.q_proj';
const [a, b] = [tensorNameOf(query, 'A'), tensorNameOf(query, 'B')];
const otherModel = 'Use the adapter on the model that it was trained on';

function adapter(name: string, { config, text, tensors, after }: Changes, ...says: (string | RegExp)[]): BadInput {
  return {
    name,
    input: async (folder) => {
      const path = join(folder, 'adapter');
      await mkdir(path);
      const settings = { peft_type: 'LORA', r: 2, lora_alpha: 4, ...config };
      await writeFile(join(path, 'adapter_config.json'), text ?? JSON.stringify(settings));
      const all = { [a]: { shape: [2, 8] }, [b]: { shape: [8, 2] }, ...tensors };
      await writeAdapterTensors(
        path,
        new Map(
          Object.entries(all).flatMap(([tensor, value]) => {
            if (!value) return [];
            const { shape, fill = 0 } = value as { shape: number[]; fill?: number };
            return [[tensor, { shape, data: new Float32Array(sizeOf(shape)).fill(fill) }] as const];
          }),
        ),
      );
      await after?.(path);
      return () => readAdapter(path, tinyConfig);
    },
    says,
  };
}

const settings = (name: string, config: Record<string, unknown>, ...says: (string | RegExp)[]): BadInput =>
  adapter(name, { config }, 'adapter_config.json: ', ...says);

export const adapterFolders: BadInput[] = [
  adapter(
    'no adapter_config.json',
    { after: (path) => rm(join(path, 'adapter_config.json')) },
    'adapter_config.json: not readable as JSON',
    'save_pretrained',
  ),
  adapter('an adapter_config.json that is not JSON', { text: '{' }, 'adapter_config.json: not readable as JSON'),
  adapter(
    'an adapter_config.json that is a list',
    { text: '[]' },
    'adapter_config.json: the file: ',
    'plain LoRA adapters',
  ),
  adapter(
    'no tensors file',
    { after: (path) => rm(join(path, 'adapter_model.safetensors')) },
    "adapter_model.safetensors: can't be opened",
    'Check the path',
  ),
  adapter(
    'a tensors file cut off',
    { after: (path) => truncate(join(path, 'adapter_model.safetensors'), 100) },
    'adapter_model.safetensors: ',
    'download it again',
  ),
  settings('another method', { peft_type: 'IA3' }, 'peft_type: ', 'plain LoRA adapters (PEFT)'),
  settings('no rank', { r: undefined }, 'r: ', 'plain LoRA adapters'),
  settings('a rank of zero', { r: 0 }, 'r: '),
  settings('a rank that is a text', { r: '2' }, 'r: '),
  settings('an alpha of zero', { lora_alpha: 0 }, 'lora_alpha: '),
  settings('DoRA', { use_dora: true }, 'use_dora: DoRA is not supported'),
  settings('trained biases', { bias: 'all' }, 'bias: '),
  settings('whole modules', { modules_to_save: ['lm_head'] }, 'modules_to_save'),
  settings('transposed matrices', { fan_in_fan_out: true }, 'fan_in_fan_out: '),
  settings(
    'a pattern that is none',
    { rank_pattern: { '(': 2 } },
    'rank_pattern: the key "(" is not a regular expression',
    'Name the module itself',
  ),
  settings(
    'a pattern that never ends',
    { alpha_pattern: { '((m|o|d|e|l|.)+)+#': 2 } },
    'alpha_pattern: the key',
    'takes too long to match',
  ),
  settings('a pattern with half a rank', { rank_pattern: { q_proj: 1.5 } }, 'rank_pattern.q_proj: '),
  adapter(
    'another rank than its tensors',
    { config: { r: 4 } },
    "'model.layers.0.self_attn.q_proj' has rank 2, but adapter_config.json says 4",
    'export it again',
  ),
  adapter(
    'one matrix of two',
    { tensors: { [b]: undefined } },
    'has one of lora_A and lora_B only',
    'Export the adapter again',
  ),
  adapter('no tensors', { tensors: { [a]: undefined, [b]: undefined } }, 'no LoRA tensors', 'Export the adapter again'),
  adapter(
    'tensors of another width',
    { tensors: { [a]: { shape: [2, 16] } } },
    'has lora_A [2, 16] and lora_B [8, 2]',
    "the model's weight is [8, 8]",
    otherModel,
  ),
  adapter('tensors without dimensions', { tensors: { [a]: { shape: [] } } }, 'has lora_A [] and lora_B [8, 2]'),
  adapter(
    'a tensor of another model',
    { tensors: { [tensorNameOf('model.layers.7.self_attn.q_proj', 'A')]: { shape: [2, 8] } } },
    "layers.7.self_attn.q_proj.lora_A.weight' belongs to no projection of this model",
    otherModel,
  ),
  adapter(
    'a pair of matrices on the output matrix, which only a merge would take',
    {
      tensors: {
        [tensorNameOf('lm_head', 'A')]: { shape: [2, 8] },
        [tensorNameOf('lm_head', 'B')]: { shape: [tinyConfig.vocabularySize, 2] },
      },
    },
    "lm_head.lora_A.weight' changes lm_head, which is not supported",
    'Train the adapter on these alone',
  ),
  settings(
    'single tokens of the embedding',
    { trainable_token_indices: [1] },
    'training single tokens of the embedding',
  ),
  adapter(
    'a matrix with NaN',
    { tensors: { [a]: { shape: [2, 8], fill: NaN } } },
    'holds NaN at element 0, which is not finite',
    'Use an earlier adapter',
  ),
];
