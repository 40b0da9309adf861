import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { huggingFaceName, undoRowPermutation } from '../../../engine/formats/ggufDecoder.ts';
import { readGguf } from '../../../engine/formats/gguf.ts';
import { openModel } from '../../../engine/model/weights.ts';
import { f32, ggufBytes, text, texts, u32, u64 } from './ggufBytes.ts';
import type { GgufParts } from './ggufBytes.ts';

let folder: string;
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-gguf-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(parts: GgufParts, cut?: number): Promise<string> {
  const path = join(folder, `${count++}.gguf`);
  await writeFile(path, ggufBytes(parts).subarray(0, cut));
  return path;
}
const four = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);
const tensor = { name: 't', dimensions: [2, 2], type: 0, offset: 0 };
const array = (type: number, length: number | bigint, rest: Uint8Array = new Uint8Array(0)) =>
  Buffer.concat([u32(type), u64(length), rest]);

describe('readGguf', () => {
  it.each([2, 3])('reads every kind of metadata and a tensor, version %i', async (version) => {
    const path = await file({
      version,
      alignment: 64,
      metadata: [
        ['general.alignment', 4, u32(64)],
        ['u8', 0, Uint8Array.of(255)],
        ['i8', 1, Uint8Array.of(255)],
        ['u16', 2, Uint8Array.of(1, 2)],
        ['i16', 3, Uint8Array.of(255, 255)],
        ['i32', 5, u32(2 ** 32 - 1)],
        ['f32', 6, f32(0.5)],
        ['bool', 7, Uint8Array.of(1)],
        ['text', 8, text('naïve')],
        ['texts', 9, texts(['a', ''])],
        ['nested', 9, array(9, 1, texts(['x']))],
        ['u64', 10, u64(2n ** 40n)],
        ['i64', 11, u64(2n ** 64n - 5n)],
        ['f64', 12, new Uint8Array(new Float64Array([0.1]).buffer)],
      ],
      tensors: [tensor],
      data: four,
    });
    const gguf = await readGguf(path);
    expect(Object.fromEntries(gguf.metadata)).toEqual({
      'general.alignment': 64,
      u8: 255,
      i8: -1,
      u16: 513,
      i16: -1,
      i32: -1,
      f32: 0.5,
      bool: true,
      text: 'naïve',
      texts: ['a', ''],
      nested: [['x']],
      u64: 2 ** 40,
      i64: -5,
      f64: 0.1,
    });
    expect([...(await gguf.readFloat32('t'))]).toEqual([1, 2, 3, 4]);
    await expect(gguf.readFloat32('other')).rejects.toThrow(/has no tensor "other"/);
    await gguf.close();
  });

  it('lists a tensor of a type that it can not read, and refuses to read it', async () => {
    const gguf = await readGguf(await file({ tensors: [{ ...tensor, type: 18, dimensions: [256] }], data: four }));
    await expect(gguf.readFloat32('t')).rejects.toThrow(/"t" is of type IQ3_XXS, which can't be read/);
    await gguf.close();
  });
});

describe('a decoder in a GGUF file', () => {
  it('names tensors as Hugging Face does', () => {
    expect(huggingFaceName('blk.12.attn_k_norm.weight')).toBe('model.layers.12.self_attn.k_norm.weight');
    expect(huggingFaceName('output.weight')).toBe('lm_head.weight');
    for (const unknown of [
      'blk.0.constructor.weight',
      'constructor',
      'blk.0.ffn_gate_inp.weight',
      'blk.x.attn_q.weight',
    ]) {
      expect(huggingFaceName(unknown)).toBeUndefined();
    }
  });

  it('undoes the alternation of the halves of each head', () => {
    // Two heads of four rows, one column: Hugging Face rows 0 1 | 2 3 of a head lie as 0 2 1 3.
    expect([...undoRowPermutation(Float32Array.of(0, 2, 1, 3, 4, 6, 5, 7), 2, 4)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  const shape: [string, number, Uint8Array][] = [
    ['general.architecture', 8, text('llama')],
    ['llama.embedding_length', 4, u32(8)],
    ['llama.block_count', 4, u32(0)],
    ['llama.feed_forward_length', 4, u32(8)],
    ['llama.attention.head_count', 4, u32(2)],
    ['llama.context_length', 4, u32(16)],
    ['llama.rope.freq_base', 6, f32(500_000)],
    ['llama.attention.layer_norm_rms_epsilon', 6, f32(1e-5)],
  ];
  it.each<[string, [string, number, Uint8Array][], RegExp]>([
    [
      'another architecture',
      [['general.architecture', 8, text('gemma3')]],
      /architecture "gemma3" is not supported. Use one of llama, qwen2, qwen3\. What is missing for it: norms that/,
    ],
    ['experts', [...shape, ['llama.expert_count', 4, u32(8)]], /mixtures of experts/],
    ['scaled positions', [...shape, ['llama.rope.scaling.type', 8, text('yarn')]], /rotary scaling "yarn"/],
    ['a model without layers', shape, /"llama.block_count" must be a positive number, not 0/],
  ])('refuses %s', async (_, metadata, message) => {
    const embedding = { name: 'token_embd.weight', dimensions: [8, 2], type: 0, offset: 0 };
    await expect(openModel(await file({ metadata, tensors: [embedding], data: new Uint8Array(64) }))).rejects.toThrow(
      message,
    );
  });

  /** A model of one layer with heads of 64, and rope_freqs with the given divisors. */
  async function llama31(divisors: Float32Array): Promise<string> {
    const metadata = [
      ...shape.filter(([key]) => key !== 'llama.block_count'),
      ['llama.block_count', 4, u32(1)] as [string, number, Uint8Array],
      ['llama.attention.key_length', 4, u32(64)] as [string, number, Uint8Array],
    ];
    const sizes: Record<string, number[]> = {
      'token_embd.weight': [8, 2],
      'output_norm.weight': [8],
      'rope_freqs.weight': [32],
      'blk.0.attn_norm.weight': [8],
      'blk.0.ffn_norm.weight': [8],
      'blk.0.attn_q.weight': [8, 128],
      'blk.0.attn_k.weight': [8, 128],
      'blk.0.attn_v.weight': [8, 128],
      'blk.0.attn_output.weight': [128, 8],
      'blk.0.ffn_gate.weight': [8, 8],
      'blk.0.ffn_up.weight': [8, 8],
      'blk.0.ffn_down.weight': [8, 8],
    };
    const data = new Float32Array(12 * 1024);
    data.set(divisors, 2 * 1024);
    const tensors = Object.entries(sizes).map(([name, dimensions], i) => ({
      name,
      dimensions,
      type: 0,
      offset: i * 4096,
    }));
    return file({ metadata, tensors, data: new Uint8Array(data.buffer) });
  }
  it("recognises Llama 3.1's scaling by its divisors and refuses others", async () => {
    // Wavelengths below 8192 / 4 are left, above 8192 divided by the factor, between them interpolated (Llama 3.1).
    const divisors = Float32Array.from({ length: 32 }, (_, i) => {
      const wavelength = 2 * Math.PI * 500_000 ** (i / 32);
      if (wavelength < 2048 || wavelength > 8192) return wavelength < 2048 ? 1 : 8;
      const smooth = (8192 / wavelength - 1) / 3;
      return 1 / ((1 - smooth) / 8 + smooth);
    });
    const scaled = await openModel(await llama31(divisors));
    expect(scaled.config.ropeScaling).toEqual({
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalContextLength: 8192,
    });
    await scaled.close();
    await expect(
      openModel(await llama31(divisors.map((divisor, i) => (i === 20 ? 1.01 * divisor : divisor)))),
    ).rejects.toThrow(/rope_freqs.weight.* is not that of Llama 3.1/);
    const plain = await openModel(await llama31(divisors.fill(1)));
    expect(plain.config).not.toHaveProperty('ropeScaling');
    expect(plain.config).toMatchObject({
      ropeTheta: 500_000,
      rmsNormEpsilon: 1e-5,
      tiedEmbeddings: true,
      kvHeads: 2,
      headDim: 64,
    });
    await plain.close();
  });
});
