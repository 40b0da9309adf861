import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configJson, configText, parseConfigJson } from '../../../engine/formats/configJson.ts';
import { writeMergedFolder } from '../../../engine/formats/mergedFolder.ts';
import { writeAdapterConfig } from '../../../engine/formats/peft.ts';
import { writeSafetensors } from '../../../engine/formats/safetensors.ts';
import type { DecoderConfig } from '../../../engine/model/config.ts';
import { expectedTensors, openModel } from '../../../engine/model/weights.ts';

const config: DecoderConfig = {
  architecture: 'qwen3',
  hiddenSize: 6,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  intermediateSize: 10,
  vocabularySize: 5,
  contextLength: 32,
  ropeTheta: 5000,
  ropeScaling: { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 16 },
  rmsNormEpsilon: 1e-6,
  tiedEmbeddings: false,
  attentionBias: false,
  queryKeyNorm: true,
  bosToken: 1,
  eosTokens: [2, 3],
};
const valuesOf = (name: string) => {
  const size = expectedTensors(config)
    .get(name)!
    .reduce((product, n) => product * n, 1);
  return Float32Array.from({ length: size }, (_, i) => Math.fround(i / 7 + name.length));
};
const tokenizer = {
  version: '1.0',
  added_tokens: [{ id: 2, content: '</s>', special: true }],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: { type: 'BPE', vocab: { a: 0, b: 1, '</s>': 2 }, merges: [] },
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-merged-'));
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('writeMergedFolder', () => {
  it('writes what openModel reads back, the same bytes each time', async () => {
    const progress: number[] = [];
    for (const name of ['one', 'two']) {
      await writeMergedFolder(join(folder, name), {
        config,
        tensor: (tensor) => Promise.resolve(valuesOf(tensor)),
        tokenizerPath: folder,
        onProgress: (done) => progress.push(done),
      });
    }
    const model = await openModel(join(folder, 'one'));
    expect(model.config).toEqual(config);
    for (const name of model.tensors.keys()) expect(await model.readTensor(name)).toEqual(valuesOf(name));
    expect(progress.slice(0, model.tensors.size)).toEqual([...model.tensors.keys()].map((_, i) => i + 1));
    await model.close();
    for (const file of ['model.safetensors', 'config.json', 'tokenizer.json']) {
      expect((await readFile(join(folder, 'one', file))).equals(await readFile(join(folder, 'two', file)))).toBe(true);
    }
  });

  it('refuses values that do not fit, leaving no weights behind', async () => {
    const broken = { config, tensor: () => Promise.resolve(new Float32Array(1)), tokenizerPath: folder };
    await expect(writeMergedFolder(join(folder, 'broken'), broken)).rejects.toThrow(/lm_head.weight.* has 4 bytes/);
    expect(existsSync(join(folder, 'broken', 'model.safetensors'))).toBe(false);
  });
});

describe('config.json', () => {
  it('says the same to readers of the new and of the old keys', () => {
    const json = configJson(config);
    const { rope_parameters: _new, ...old } = json;
    const { rope_scaling: _scaling, rope_theta: _theta, ...current } = json;
    expect(parseConfigJson('old', old)).toEqual(config);
    expect(parseConfigJson('new', current)).toEqual(config);
    const text = configText(config);
    expect(JSON.parse(text)).toEqual(json);
    expect(text).toContain('"rope_theta": 5000.0,');
    expect(text).toContain('"original_max_position_embeddings": 16');
    expect(text.match(/"factor": 8\.0,/g)).toHaveLength(2);
    expect(json).toMatchObject({ architectures: ['Qwen3ForCausalLM'], dtype: 'float32', torch_dtype: 'float32' });
  });

  const base = configJson({ ...config, architecture: 'llama' });
  it('knows sliding windows: used by mistral, refused for qwen2 where they are on', () => {
    const mistral = { ...base, model_type: 'mistral' };
    expect(parseConfigJson('c', { ...mistral, sliding_window: 6 }).slidingWindow).toBe(6);
    expect(parseConfigJson('c', { ...mistral, sliding_window: null })).not.toHaveProperty('slidingWindow');
    expect(parseConfigJson('c', { ...mistral, sliding_window: undefined }).slidingWindow).toBe(4096);
    const qwen = { ...base, model_type: 'qwen2', sliding_window: 6 };
    expect(parseConfigJson('c', { ...qwen, use_sliding_window: false })).not.toHaveProperty('slidingWindow');
    expect(() => parseConfigJson('c', { ...qwen, use_sliding_window: true })).toThrow(/use_sliding_window/);
  });

  it('takes what a file leaves out for what Transformers takes it for', () => {
    const sizes = {
      ...base,
      hidden_size: 512,
      num_attention_heads: 64,
      head_dim: undefined,
      num_key_value_heads: undefined,
    };
    const of = (changes: object) => {
      const { headDim, kvHeads } = parseConfigJson('c', { ...sizes, ...changes });
      return { headDim, kvHeads };
    };
    expect(of({ model_type: 'llama' })).toEqual({ headDim: 8, kvHeads: 64 });
    expect(of({ model_type: 'mistral' })).toEqual({ headDim: 8, kvHeads: 8 });
    expect(of({ model_type: 'qwen2' })).toEqual({ headDim: 8, kvHeads: 32 });
    expect(of({ model_type: 'qwen3' })).toEqual({ headDim: 128, kvHeads: 32 });
    expect(of({ model_type: 'qwen3', num_key_value_heads: null }).kvHeads).toBe(64);
  });

  it('takes end tokens from generation_config.json too', () => {
    expect(parseConfigJson('c', { ...base, eos_token_id: 2 }, { eos_token_id: [4, 2] }).eosTokens).toEqual([2, 4]);
  });
});

describe('openModel', () => {
  const write = async (name: string, files: Record<string, Record<string, number[]> | object>) => {
    const path = await mkdtemp(join(folder, `${name}-`));
    for (const [file, content] of Object.entries(files)) {
      if (!file.endsWith('.safetensors')) await writeFile(join(path, file), JSON.stringify(content));
      else {
        const tensors = Object.entries(content as Record<string, number[]>);
        await writeSafetensors(
          join(path, file),
          tensors.map(([tensor, shape]) => ({
            name: tensor,
            shape,
            data: () =>
              valuesOf(tensor).slice(
                0,
                shape.reduce((a, b) => a * b, 1),
              ),
          })),
        );
      }
    }
    return path;
  };
  const json = configJson(config);
  const all = Object.fromEntries(expectedTensors(config));
  const split = Object.entries(all);
  const [first, second] = [Object.fromEntries(split.slice(0, 9)), Object.fromEntries(split.slice(9))];
  const index = (files: [string, string]) => ({
    weight_map: Object.fromEntries(split.map(([name], i) => [name, files[i < 9 ? 0 : 1]])),
  });
  const shards: [string, string] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];

  it('reads sharded weights', async () => {
    const path = await write('sharded', {
      'config.json': json,
      'model.safetensors.index.json': index(shards),
      [shards[0]]: first,
      [shards[1]]: second,
    });
    const model = await openModel(path);
    for (const name of Object.keys(all)) expect(await model.readTensor(name)).toEqual(valuesOf(name));
    await expect(model.readTensor('model.layers.9.mlp.up_proj.weight')).rejects.toMatchObject({ kind: 'invalidInput' });
    await model.close();
  });

  it.each([
    '../secret.safetensors',
    '/etc/x.safetensors',
    'a\\b.safetensors',
    '.hidden.safetensors',
    'weights.bin',
    '',
  ])('refuses an index that points to %j', async (target) => {
    const path = await write('trick', {
      'config.json': json,
      'model.safetensors.index.json': index([target, shards[1]]),
      [shards[1]]: second,
    });
    await expect(openModel(path)).rejects.toThrow(/only .safetensors files in the same folder are read/);
  });

  it('names what is missing, misshapen or unknown', async () => {
    const { 'model.norm.weight': norm, ...without } = all;
    await expect(
      openModel(await write('missing', { 'config.json': json, 'model.safetensors': without })),
    ).rejects.toThrow(/has no tensor "model.norm.weight"/);
    const misshapen = { ...without, 'model.norm.weight': [norm![0]! - 1] };
    await expect(
      openModel(await write('shape', { 'config.json': json, 'model.safetensors': misshapen })),
    ).rejects.toThrow(/"model.norm.weight" has shape \[5\], the configuration needs \[6\]/);
    const tied = { ...json, tie_word_embeddings: true, model_type: 'llama' };
    await expect(openModel(await write('extra', { 'config.json': tied, 'model.safetensors': all }))).rejects.toThrow(
      /"model.layers.0.self_attn.k_norm.weight" belongs to a feature that is not supported for llama/,
    );
    await expect(openModel(join(folder, 'absent'))).rejects.toThrow(/no such file or folder/);
    await expect(openModel(await write('empty', {}))).rejects.toThrow(/has no config.json/);
  });
});

describe('adapter_config.json', () => {
  const lora = { rank: 4, alpha: 10, targets: ['v_proj', 'q_proj'], rankStabilized: true };
  it('states rank, alpha, targets and scaling', () => {
    const written: unknown = JSON.parse(new TextDecoder().decode(writeAdapterConfig(lora, 'org/model')));
    expect(written).toMatchObject({
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      r: 4,
      lora_alpha: 10,
      use_rslora: true,
      target_modules: ['q_proj', 'v_proj'],
      base_model_name_or_path: 'org/model',
    });
  });
  it.each(['/models/x', './x', '../x', '~/x', 'C:\\x', 'a/b/c', 'x.gguf'])('refuses the local path %s', (path) => {
    expect(() => writeAdapterConfig(lora, path)).toThrow(/is a path/);
  });
});
