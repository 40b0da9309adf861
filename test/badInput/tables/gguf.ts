/** Malformed GGUF files, and decoders in them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readGguf } from '../../../engine/formats/gguf.ts';
import { openModel } from '../../../engine/model/weights.ts';
import { f32, ggufBytes, text, texts, u32, u64, type GgufParts } from '../../engine/formats/ggufBytes.ts';
import type { BadInput } from '../badInput.ts';

type Metadata = [key: string, type: number, value: Uint8Array];

const data = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);
const tensor = { name: 't', dimensions: [2, 2], type: 0, offset: 0 };
const array = (type: number, length: number | bigint, rest: Uint8Array = new Uint8Array(0)) =>
  Buffer.concat([u32(type), u64(length), rest]);
const remedy = /It is damaged or not a GGUF file: copy or download it again\./;

function file(name: string, parts: GgufParts, says: string | RegExp, cut?: number): BadInput {
  return {
    name,
    input: async (folder) => {
      const path = join(folder, 'model.gguf');
      await writeFile(path, ggufBytes(parts).subarray(0, cut));
      return () => readGguf(path);
    },
    says: ['model.gguf: ', says, remedy],
  };
}

export const ggufFiles: BadInput[] = [
  file('an empty file', {}, 'the header runs past the end of the file', 0),
  file('another magic', { magic: 'GGML' }, 'does not start with "GGUF"'),
  file('version 1', { version: 1 }, 'has GGUF version 1; versions 2 and 3 are read'),
  file('version 4', { version: 4 }, 'has GGUF version 4'),
  file('a big-endian file', { version: 0x03000000 }, 'big-endian GGUF file, which is not supported'),
  file('an absurd number of tensors', { tensorCount: 2n ** 63n }, 'claims 9223372036854776000 tensors, at most'),
  file('an absurd number of metadata', { metadataCount: 2n ** 40n }, 'claims 1099511627776 metadata entries'),
  file('a text longer than the file', { metadata: [['k', 8, u64(2n ** 62n)]] }, 'runs past the end of the file'),
  file('a list longer than the file', { metadata: [['k', 9, array(8, 2n ** 50n)]] }, 'array elements, at most'),
  file(
    'a list of millions of bytes',
    { metadata: [['k', 9, array(0, 4_000_001, new Uint8Array(4_000_001))]] },
    'claims 4000001 array elements, at most 4000000',
  ),
  file('a list of unknown type', { metadata: [['k', 9, array(13, 1, u32(1))]] }, 'unknown type 13'),
  file('a value of unknown type', { metadata: [['k', 99, u32(1)]] }, 'unknown type 99'),
  file('a boolean that is 2', { metadata: [['k', 7, Uint8Array.of(2)]] }, 'a boolean is 2'),
  file(
    'lists four deep',
    { metadata: [['k', 9, array(9, 1, array(9, 1, array(9, 1, array(0, 1, u32(1)))))]] },
    'nested too deeply',
  ),
  file(
    'metadata given twice',
    {
      metadata: [
        ['k', 4, u32(1)],
        ['k', 4, u32(2)],
      ],
    },
    'has metadata "k" twice',
  ),
  file('an alignment of zero', { metadata: [['general.alignment', 4, u32(0)]] }, 'general.alignment is 0'),
  file(
    'an alignment that is a text',
    { metadata: [['general.alignment', 8, text('32')]] },
    'general.alignment is "32"',
  ),
  file('a tensor given twice', { tensors: [tensor, tensor], data }, 'tensor "t" is listed twice'),
  file(
    'five dimensions',
    { tensors: [{ ...tensor, dimensions: [1, 1, 1, 1, 1] }], data },
    'tensor "t" has 5 dimensions',
  ),
  file(
    'a tensor past the end',
    { tensors: [{ ...tensor, dimensions: [2, 3] }], data },
    /of shape \[3, 2\] ends at byte/,
  ),
  file('sizes that overflow', { tensors: [{ ...tensor, dimensions: [2n ** 62n, 2n ** 62n] }], data }, 'ends at byte'),
  file('an offset past the end', { tensors: [{ ...tensor, offset: 2n ** 63n }], data }, 'ends at byte'),
  file('an unaligned offset', { tensors: [{ ...tensor, offset: 4 }], data }, 'starts at 4, not a multiple of 32'),
  file(
    'tensors that overlap',
    {
      tensors: [
        { ...tensor, dimensions: [16] },
        { ...tensor, name: 'u', dimensions: [1], offset: 32 },
      ],
      data: new Uint8Array(64),
    },
    'tensor "u" overlaps the one before it',
  ),
  file(
    'rows that are no whole blocks',
    { tensors: [{ ...tensor, type: 2, dimensions: [33] }], data: new Uint8Array(64) },
    'has rows of 33 elements, Q4_0 needs a multiple of 32',
  ),
  file('a file cut in its header', { tensors: [tensor], data }, 'runs past the end', 50),
  file('a file cut in its data', { tensors: [tensor], data }, 'ends at byte', 75),
];

const shape: Metadata[] = [
  ['general.architecture', 8, text('llama')],
  ['llama.embedding_length', 4, u32(8)],
  ['llama.block_count', 4, u32(1)],
  ['llama.feed_forward_length', 4, u32(8)],
  ['llama.attention.head_count', 4, u32(2)],
  ['llama.context_length', 4, u32(16)],
  ['llama.rope.freq_base', 6, f32(500_000)],
  ['llama.attention.layer_norm_rms_epsilon', 6, f32(1e-5)],
];

/** A llama decoder with metadata changed (or, undefined, left out). */
function decoder(
  name: string,
  change: Record<string, [type: number, value: Uint8Array] | undefined>,
  ...says: (string | RegExp)[]
): BadInput {
  const metadata = shape.filter(([key]) => !(key in change));
  for (const [key, value] of Object.entries(change)) if (value) metadata.push([key, ...value]);
  const embedding = { name: 'token_embd.weight', dimensions: [8, 2], type: 0, offset: 0 };
  return {
    name,
    input: async (folder) => {
      const path = join(folder, 'model.gguf');
      await writeFile(path, ggufBytes({ metadata, tensors: [embedding], data: new Uint8Array(64) }));
      return () => openModel(path);
    },
    says: ['model.gguf: ', ...says],
  };
}

export const ggufDecoders: BadInput[] = [
  decoder(
    'another architecture',
    { 'general.architecture': [8, text('gemma3')] },
    'architecture "gemma3" is not supported. Use one of llama',
  ),
  decoder('no architecture', { 'general.architecture': undefined }, 'architecture undefined is not supported. Use one'),
  decoder('experts', { 'llama.expert_count': [4, u32(8)] }, 'mixtures of experts are not supported. Use a dense'),
  decoder(
    'scaled positions',
    { 'llama.rope.scaling.type': [8, text('yarn')] },
    'rotary scaling "yarn" is not supported',
  ),
  decoder('no layers', { 'llama.block_count': [4, u32(0)] }, '"llama.block_count" must be a positive number, not 0'),
  decoder('half a layer', { 'llama.block_count': [6, f32(1.5)] }, '"llama.block_count" is 1.5', 'Download it again'),
  decoder('four billion layers', { 'llama.block_count': [4, u32(2 ** 32 - 1)] }, '"llama.block_count" is 4294967295'),
  decoder('millions of layers', { 'llama.block_count': [4, u32(2 ** 24)] }, 'has no tensor "model.layers.16777215'),
  decoder('no width', { 'llama.embedding_length': undefined }, '"llama.embedding_length" must be a positive number'),
  decoder(
    'a width that is a list',
    { 'llama.embedding_length': [9, texts(['8'])] },
    'embedding_length" must be a positive',
  ),
  decoder(
    'three key heads for two',
    { 'llama.attention.head_count_kv': [4, u32(3)] },
    "2 attention heads can't share 3",
  ),
  decoder(
    'an odd head',
    { 'llama.attention.key_length': [4, u32(3)] },
    /a head of 3 numbers is odd; rotary positions need pairs/,
  ),
  decoder('no tensors of its layers', {}, 'has no tensor "model.layers.0.input_layernorm.weight"', 'download it again'),
];
