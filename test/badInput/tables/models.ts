/** Malformed model folders: config.json, weights in one file and in shards. */
import { rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openModel } from '../../../engine/model/weights.ts';
import { convertedWeights } from '../../../engine/model/weightFile.ts';
import type { BadInput } from '../badInput.ts';
import { writeTinyFolder, type FolderChanges } from '../tinyFolder.ts';

type Says = (string | RegExp)[];

function model(name: string, changes: FolderChanges, ...says: Says): BadInput {
  return {
    name,
    input: async (folder) => {
      const path = await writeTinyFolder(folder, changes);
      return () => openModel(path);
    },
    says,
  };
}

/** One key of config.json changed; undefined = left out. */
const config = (name: string, change: Record<string, unknown>, ...says: Says): BadInput =>
  model(name, { config: (json) => ({ ...json, ...change }) }, 'config.json: ', ...says);

export const configFiles: BadInput[] = [
  model('no config.json', { files: { 'config.json': null } }, 'has no config.json', 'Give the folder of a whole'),
  model(
    'a config.json that is not JSON',
    { files: { 'config.json': '{"a"' } },
    'config.json: is not JSON',
    'Download it again',
  ),
  model(
    'a config.json that is a list',
    { files: { 'config.json': '[]' } },
    'config.json: is not a JSON object',
    'Download it again',
  ),
  model('a config.json that is null', { files: { 'config.json': 'null' } }, 'config.json: is not a JSON object'),
  model('an empty config.json', { files: { 'config.json': '' } }, 'config.json: is not JSON'),
  model(
    'a generation_config.json that is not JSON',
    { files: { 'generation_config.json': '<html>' } },
    'generation_config.json: is not JSON',
  ),
  config('an unknown architecture', { model_type: 'gemma3' }, 'model_type "gemma3" is not supported. Use one of llama'),
  config('no architecture', { model_type: undefined }, 'model_type undefined is not supported. Use one of llama'),
  config('an architecture that is an object', { model_type: { a: 1 } }, 'model_type {"a":1} is not supported'),
  config('an architecture out of the prototype', { model_type: 'constructor' }, '"constructor" is not supported'),
  config('biases', { attention_bias: true }, '"attention_bias": true is not supported', 'Use another model'),
  config('biases in the MLP', { mlp_bias: true }, '"mlp_bias": true is not supported', 'Use another model'),
  config('another activation', { hidden_act: 'gelu' }, '"hidden_act" "gelu" is not supported; only "silu" is'),
  config('half-rotated heads', { partial_rotary_factor: 0.5 }, '"partial_rotary_factor" 0.5 is not supported; only 1'),
  config('quantised weights', { quantization_config: { quant_method: 'gptq' } }, 'quantised', 'Use the unquantised'),
  config(
    'another rotary scaling',
    { rope_parameters: { rope_type: 'yarn', factor: 4 } },
    'rotary scaling "yarn" is not',
  ),
  config(
    'an old name of a rotary scaling',
    { rope_parameters: null, rope_scaling: { type: 'linear' } },
    '"linear" is not',
  ),
  config(
    'a rotary scaling without its numbers',
    { rope_parameters: { rope_type: 'llama3' } },
    'needs a positive "factor"',
  ),
  config('a rotary base of zero', { rope_parameters: null, rope_theta: 0 }, '"rope_theta" must be a positive number'),
  config('heads that do not divide', { num_key_value_heads: 3 }, "2 attention heads can't share 3 key-value heads"),
  config('an odd head', { head_dim: 3 }, '"head_dim" 3 is odd; rotary positions need pairs'),
  config(
    'a width that heads do not divide',
    { head_dim: undefined, hidden_size: 9 },
    '"head_dim" must be a whole number',
  ),
  config('no width', { hidden_size: undefined }, '"hidden_size" must be a positive number, not undefined', 'Download'),
  config('a width that is a text', { hidden_size: '8' }, '"hidden_size" must be a positive number, not "8"'),
  config('a negative vocabulary', { vocab_size: -5 }, '"vocab_size" must be a positive number, not -5'),
  config('half a layer', { num_hidden_layers: 1.5 }, '"num_hidden_layers" must be a whole number, not 1.5'),
  config(
    'an absurd number of layers',
    { num_hidden_layers: 1e15 },
    '"num_hidden_layers" is 1000000000000000, more than',
  ),
  config('an absurd width', { hidden_size: 2 ** 40 }, '"hidden_size" is 1099511627776, more than any model has'),
  config('a context that is a list', { max_position_embeddings: [32] }, '"max_position_embeddings" must be a positive'),
  config('no epsilon', { rms_norm_eps: 0 }, '"rms_norm_eps" must be a positive number, not 0'),
  config(
    'a window of half a token',
    { model_type: 'mistral', sliding_window: 0.5 },
    '"sliding_window" must be a whole',
  ),
  config('windows of qwen2', { model_type: 'qwen2', use_sliding_window: true }, '"use_sliding_window": true is not'),
  model(
    'millions of layers',
    { config: (json) => ({ ...json, num_hidden_layers: 2 ** 27 }) },
    'has no tensor "model.layers.134217727.input_layernorm.weight"',
    'download it again',
  ),
];

const norm = 'model.norm.weight';

export const weightFiles: BadInput[] = [
  model('no weights', { files: { 'config.json': '{"model_type":"llama"}' } }, 'must be a positive number'),
  changed('a missing weight file', (path) => rm(join(path, 'model.safetensors')), "model.safetensors: can't be opened"),
  changed(
    'a weight file cut off',
    (path) => truncate(join(path, 'model.safetensors'), 1000),
    'model.safetensors: ',
    'download it again',
  ),
  model(
    'a missing tensor',
    { tensors: (tensors) => tensors.delete(norm) },
    'has no tensor "model.norm.weight"',
    'download it again',
  ),
  model(
    'a tensor of another shape',
    {
      tensors: (tensors, shapes) => {
        shapes.set(norm, [7]);
        tensors.set(norm, new Float32Array(7));
      },
    },
    'tensor "model.norm.weight" has shape [7], the configuration needs [8]',
    'Configuration and weights are of different models',
  ),
  model(
    'a transposed tensor',
    { tensors: (_, shapes) => shapes.set('model.layers.0.mlp.up_proj.weight', [8, 6]) },
    'has shape [8, 6], the configuration needs [6, 8]',
  ),
  model(
    'a tensor without dimensions',
    {
      tensors: (tensors, shapes) => {
        shapes.set(norm, []);
        tensors.set(norm, new Float32Array(1));
      },
    },
    'tensor "model.norm.weight" has shape [], the configuration needs [8]',
  ),
  model(
    'a tensor too many',
    {
      tensors: (tensors, shapes) => {
        shapes.set('model.layers.0.moe.weight', [1]);
        tensors.set('model.layers.0.moe.weight', new Float32Array(1));
      },
    },
    'tensor "model.layers.0.moe.weight" belongs to a feature that is not supported for llama models',
  ),
  notFinite('a weight that is NaN', NaN, 'holds NaN at element 3, which is not finite', 'use another copy'),
  notFinite('an infinite weight', -Infinity, 'holds -Infinity at element 3, which is not finite'),
];

/** A folder changed after it was written. */
function changed(name: string, change: (path: string) => Promise<void>, ...says: Says): BadInput {
  return {
    name,
    input: async (folder) => {
      const path = await writeTinyFolder(folder);
      await change(path);
      return () => openModel(path);
    },
    says,
  };
}

/** Found when the weights are converted, before a graph sees them. */
function notFinite(name: string, value: number, ...says: Says): BadInput {
  return {
    name,
    input: async (folder) => {
      const modelPath = await writeTinyFolder(folder, { tensors: (tensors) => void (tensors.get(norm)![3] = value) });
      // The folder for the converted weights is made, but no file is left in it.
      return () =>
        convertedWeights({ modelPath, modelDigest: 'd' }, `${folder}-cache`).finally(() =>
          rm(`${folder}-cache`, { recursive: true }),
        );
    },
    says: ['model.safetensors: tensor "model.norm.weight"', ...says],
  };
}

/** The tensors moved into `first.safetensors`, with an index. */
function shards(name: string, index: unknown, ...says: Says): BadInput {
  return changed(
    name,
    async (path) => {
      await rename(join(path, 'model.safetensors'), join(path, 'first.safetensors'));
      const text = typeof index === 'string' ? index : JSON.stringify(index);
      await writeFile(join(path, 'model.safetensors.index.json'), text);
    },
    ...says,
  );
}

const onlyBeside = 'only .safetensors files in the same folder are read';
const placed = (file: unknown) => ({ weight_map: { [norm]: file } });

export const shardIndexes: BadInput[] = [
  shards('that is not JSON', '{"weight_map"', 'index.json: is not JSON', 'Download it again'),
  shards('without a map', { metadata: {} }, 'index.json: has no "weight_map"', 'Download it again'),
  shards('whose map is a list', { weight_map: ['first.safetensors'] }, 'has no "weight_map"'),
  shards('whose map is null', { weight_map: null }, 'has no "weight_map"'),
  shards('with an empty map', { weight_map: {} }, 'has no tensor "model.layers.0'),
  shards(
    'that climbs out of the folder',
    placed('../other.safetensors'),
    '"model.norm.weight" is said to lie in "../other',
    onlyBeside,
  ),
  shards('with an absolute path', placed('/etc/first.safetensors'), '"/etc/first.safetensors"', onlyBeside),
  shards('with a path into a folder', placed('sub/first.safetensors'), '"sub/first.safetensors"', onlyBeside),
  shards('with a path of Windows', placed('..\\first.safetensors'), onlyBeside),
  shards('with a hidden file', placed('.safetensors'), '".safetensors"', onlyBeside),
  shards('with the folder itself', placed('.'), '"."', onlyBeside),
  shards('with another kind of file', placed('pytorch_model.bin'), '"pytorch_model.bin"', onlyBeside),
  shards('with a web address', placed('https://host/first.safetensors'), onlyBeside),
  shards('with a number', placed(1), 'is said to lie in 1', onlyBeside),
  shards('with a null byte', placed('first\0.safetensors'), "can't be opened"),
  shards(
    'with a file that is not there',
    placed('second.safetensors'),
    "second.safetensors: can't be opened",
    'Check the path',
  ),
  shards(
    'with a tensor that its file lacks',
    { weight_map: { 'lm_head.weight': 'first.safetensors' } },
    'first.safetensors: has no tensor "lm_head.weight"',
  ),
  shards('with one tensor of many', placed('first.safetensors'), 'has no tensor "model.layers.0'),
  changed(
    'with a file that points at itself',
    async (path) => {
      await writeFile(join(path, 'model.safetensors.index.json'), JSON.stringify(placed('loop.safetensors')));
      await symlink('loop.safetensors', join(path, 'loop.safetensors'));
    },
    "loop.safetensors: can't be opened",
  ),
];
