import { describe, expect, it } from 'vitest';
import { configText, parseConfigJson } from '../../../engine/formats/configJson.ts';
import type { DecoderConfig } from '../../../engine/model/config.ts';
import { ARCHITECTURES } from '../../../engine/model/architectures/architectures.ts';
import type { ArchitectureName } from '../../../engine/model/architectures/architectures.ts';
import { TINY } from '../train/randomModel.ts';

/** What makes a decoder of each architecture differ from TINY, which is a Llama. */
const DIFFERENCES: Record<ArchitectureName, Partial<DecoderConfig>> = {
  llama: { ropeScaling: { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalContextLength: 64 } },
  mistral: { slidingWindow: 5 },
  qwen2: { attentionBias: true },
  qwen3: { queryKeyNorm: true, headDim: 12 },
};

const parsed = (json: object) => parseConfigJson('config.json', json as Record<string, unknown>);

describe('the supported architectures', () => {
  it.each(ARCHITECTURES.map(({ name }) => name))(
    '%s: the config.json that we write says what we read',
    (architecture) => {
      const config: DecoderConfig = { ...TINY, ...DIFFERENCES[architecture], architecture };
      const json = JSON.parse(configText(config)) as Record<string, unknown>;
      expect(parsed(json)).toEqual(config);
      expect(json['architectures']).toEqual([ARCHITECTURES.find(({ name }) => name === architecture)!.className]);
    },
  );

  it('takes what Transformers takes where a key is absent', () => {
    const {
      num_key_value_heads: _k,
      head_dim: _h,
      sliding_window: _s,
      ...json
    } = JSON.parse(configText({ ...TINY, heads: 64, hiddenSize: 512, headDim: 8 })) as Record<string, unknown>;
    const shapeOf = (architecture: ArchitectureName) => {
      const { kvHeads, headDim, slidingWindow } = parsed({ ...json, model_type: architecture });
      return [kvHeads, headDim, slidingWindow];
    };
    expect(ARCHITECTURES.map(({ name }) => [name, ...shapeOf(name)])).toEqual([
      ['llama', 64, 8, undefined],
      ['mistral', 8, 8, 4096],
      ['qwen2', 32, 8, undefined],
      ['qwen3', 32, 128, undefined],
    ]);
  });
});

describe('other architectures', () => {
  it.each([
    ['gemma2', /Use one of llama, mistral, qwen2, qwen3\. What is missing for it: norms that multiply by 1 \+ weight/],
    ['phi3', /What is missing for it: one matrix for q, k and v, one for gate and up\./],
    ['mixtral', /What is missing for it: mixtures of experts\./],
    ['qwen3_moe', /What is missing for it: mixtures of experts\./],
    ['smollm3', /What is missing for it: layers without rotary positions\./],
  ])('refuses %s by what is missing', (name, message) => {
    expect(() => parsed({ model_type: name })).toThrow(message);
  });

  it('makes up nothing about one that it does not know', () => {
    expect(() => parsed({ model_type: 'toString' })).toThrow(/"toString" is not supported\. Use one of [\w, ]+\.$/);
  });
});
