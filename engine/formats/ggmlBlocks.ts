/**
 * The tensor types of GGUF and their dequantisation to float32.
 * Block layouts: ggml `ggml-common.h`; arithmetic as in gguf-py `quants.py`, whose float32 results these equal bit for bit: every product
 * fits float32 exactly, so the one rounding when a sum is stored is the only one on both sides.
 */
import { bfloat16ToFloat32, float16Values } from './halfFloats.ts';

export interface BlockType {
  name: string;
  /** Elements of one block, consecutive along the fastest dimension. */
  blockSize: number;
  blockBytes: number;
  /** Fills `out` from whole blocks; bytes.length / blockBytes * blockSize = out.length. */
  dequantise(bytes: Uint8Array<ArrayBuffer>, out: Float32Array): void;
}

/** ggml type number -> type, of those that can be read. */
export const blockTypes: ReadonlyMap<number, BlockType> = new Map<number, BlockType>([
  [
    0,
    { name: 'F32', blockSize: 1, blockBytes: 4, dequantise: (bytes, out) => out.set(new Float32Array(bytes.buffer)) },
  ],
  [1, { name: 'F16', blockSize: 1, blockBytes: 2, dequantise: dequantiseF16 }],
  [
    30,
    {
      name: 'BF16',
      blockSize: 1,
      blockBytes: 2,
      dequantise: (bytes, out) => out.set(bfloat16ToFloat32(new Uint16Array(bytes.buffer))),
    },
  ],
  [2, { name: 'Q4_0', blockSize: 32, blockBytes: 18, dequantise: dequantiseQ4_0 }],
  [3, { name: 'Q4_1', blockSize: 32, blockBytes: 20, dequantise: dequantiseQ4_1 }],
  [6, { name: 'Q5_0', blockSize: 32, blockBytes: 22, dequantise: dequantiseQ5_0 }],
  [7, { name: 'Q5_1', blockSize: 32, blockBytes: 24, dequantise: dequantiseQ5_1 }],
  [8, { name: 'Q8_0', blockSize: 32, blockBytes: 34, dequantise: dequantiseQ8_0 }],
  [10, { name: 'Q2_K', blockSize: 256, blockBytes: 84, dequantise: dequantiseQ2_K }],
  [11, { name: 'Q3_K', blockSize: 256, blockBytes: 110, dequantise: dequantiseQ3_K }],
  [12, { name: 'Q4_K', blockSize: 256, blockBytes: 144, dequantise: dequantiseQ4_K }],
  [13, { name: 'Q5_K', blockSize: 256, blockBytes: 176, dequantise: dequantiseQ5_K }],
  [14, { name: 'Q6_K', blockSize: 256, blockBytes: 210, dequantise: dequantiseQ6_K }],
]);

/** Names of the types that exist but are not read, for messages. */
const otherTypes: Record<number, string> = {
  9: 'Q8_1',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
};

export const blockTypeName = (type: number) => blockTypes.get(type)?.name ?? otherTypes[type] ?? `number ${type}`;

function dequantiseF16(bytes: Uint8Array<ArrayBuffer>, out: Float32Array): void {
  const half = float16Values();
  const bits = new Uint16Array(bytes.buffer);
  for (let i = 0; i < out.length; i++) out[i] = half[bits[i]!]!;
}

/** Reads the little-endian float16 at byte `at`. */
function halfReader(bytes: Uint8Array): (at: number) => number {
  const half = float16Values();
  return (at) => half[bytes[at]! | (bytes[at + 1]! << 8)]!;
}

/** Q4_0: scale, 16 bytes of 4-bit pairs: low nibbles are elements 0-15, high nibbles 16-31. */
function dequantiseQ4_0(bytes: Uint8Array, out: Float32Array): void {
  const half = halfReader(bytes);
  for (let block = 0, at = 0; block < out.length; block += 32, at += 18) {
    const scale = half(at);
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + 2 + i]!;
      out[block + i] = scale * ((pair & 15) - 8);
      out[block + 16 + i] = scale * ((pair >> 4) - 8);
    }
  }
}

/** Q4_1: scale, minimum, 4-bit pairs. */
function dequantiseQ4_1(bytes: Uint8Array, out: Float32Array): void {
  const half = halfReader(bytes);
  for (let block = 0, at = 0; block < out.length; block += 32, at += 20) {
    const scale = half(at);
    const minimum = half(at + 2);
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + 4 + i]!;
      out[block + i] = scale * (pair & 15) + minimum;
      out[block + 16 + i] = scale * (pair >> 4) + minimum;
    }
  }
}

/** Q5_0: scale, 32 fifth bits, 4-bit pairs. */
function dequantiseQ5_0(bytes: Uint8Array, out: Float32Array): void {
  const half = halfReader(bytes);
  for (let block = 0, at = 0; block < out.length; block += 32, at += 22) {
    const scale = half(at);
    const fifth = fourBytes(bytes, at + 2);
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + 6 + i]!;
      out[block + i] = scale * (((pair & 15) | (((fifth >>> i) & 1) << 4)) - 16);
      out[block + 16 + i] = scale * (((pair >> 4) | (((fifth >>> (i + 16)) & 1) << 4)) - 16);
    }
  }
}

/** Q5_1: scale, minimum, 32 fifth bits, 4-bit pairs. */
function dequantiseQ5_1(bytes: Uint8Array, out: Float32Array): void {
  const half = halfReader(bytes);
  for (let block = 0, at = 0; block < out.length; block += 32, at += 24) {
    const scale = half(at);
    const minimum = half(at + 2);
    const fifth = fourBytes(bytes, at + 4);
    for (let i = 0; i < 16; i++) {
      const pair = bytes[at + 8 + i]!;
      out[block + i] = scale * ((pair & 15) | (((fifth >>> i) & 1) << 4)) + minimum;
      out[block + 16 + i] = scale * ((pair >> 4) | (((fifth >>> (i + 16)) & 1) << 4)) + minimum;
    }
  }
}

/** Q8_0: scale, 32 signed bytes. */
function dequantiseQ8_0(bytes: Uint8Array<ArrayBuffer>, out: Float32Array): void {
  const half = halfReader(bytes);
  const signed = new Int8Array(bytes.buffer);
  for (let block = 0, at = 0; block < out.length; block += 32, at += 34) {
    const scale = half(at);
    for (let i = 0; i < 32; i++) out[block + i] = scale * signed[at + 2 + i]!;
  }
}

/** Q2_K: 16 bytes of 4-bit scale and minimum, 64 bytes of 2-bit values, scale of scales, scale of minima. 16 groups of 16. */
function dequantiseQ2_K(bytes: Uint8Array, out: Float32Array): void {
  const half = halfReader(bytes);
  for (let block = 0, at = 0; block < out.length; block += 256, at += 84) {
    const scaleOfScales = half(at + 80);
    const scaleOfMinima = half(at + 82);
    for (let i = 0; i < 256; i++) {
      const group = bytes[at + (i >> 4)]!;
      // Bytes hold elements 32 apart: 128 elements in 32 bytes, two bits each.
      const value = (bytes[at + 16 + (i >> 7) * 32 + (i & 31)]! >> (((i >> 5) & 3) * 2)) & 3;
      out[block + i] = scaleOfScales * (group & 15) * value - scaleOfMinima * (group >> 4);
    }
  }
}

/** Q3_K: 32 bytes of third bits, 64 bytes of two low bits, 12 bytes of sixteen 6-bit scales, scale of scales. 16 groups of 16. */
function dequantiseQ3_K(bytes: Uint8Array, out: Float32Array): void {
  const half = halfReader(bytes);
  for (let block = 0, at = 0; block < out.length; block += 256, at += 110) {
    const scaleOfScales = half(at + 108);
    for (let group = 0; group < 16; group++) {
      const low = (bytes[at + 96 + (group & 7)]! >> (group < 8 ? 0 : 4)) & 15;
      const high = (bytes[at + 104 + (group & 3)]! >> ((group >> 2) * 2)) & 3;
      const scale = scaleOfScales * ((low | (high << 4)) - 32);
      for (let i = group * 16; i < group * 16 + 16; i++) {
        const twoBits = (bytes[at + 32 + (i >> 7) * 32 + (i & 31)]! >> (((i >> 5) & 3) * 2)) & 3;
        const thirdBit = (bytes[at + (i & 31)]! >> (i >> 5)) & 1;
        out[block + i] = scale * (twoBits - (thirdBit ? 0 : 4));
      }
    }
  }
}

/** The 6-bit scale or minimum of group 0-7 in the 12 packed bytes of Q4_K and Q5_K: `offset` 0 for scales, 4 for minima. */
function sixBits(bytes: Uint8Array, at: number, group: number, offset: 0 | 4): number {
  if (group < 4) return bytes[at + offset + group]! & 63;
  const low = bytes[at + 4 + group]! >> offset;
  return (low & 15) | ((bytes[at + offset + group - 4]! >> 6) << 4);
}

/** Q4_K: scale of scales, scale of minima, 12 bytes of 6-bit scales and minima, 128 bytes of 4-bit values. 8 groups of 32. */
function dequantiseQ4_K(bytes: Uint8Array, out: Float32Array): void {
  const half = halfReader(bytes);
  for (let block = 0, at = 0; block < out.length; block += 256, at += 144) {
    for (let group = 0; group < 8; group++) {
      const scale = half(at) * sixBits(bytes, at + 4, group, 0);
      const minimum = half(at + 2) * sixBits(bytes, at + 4, group, 4);
      const shift = (group & 1) * 4;
      for (let i = 0; i < 32; i++) {
        const value = (bytes[at + 16 + (group >> 1) * 32 + i]! >> shift) & 15;
        out[block + group * 32 + i] = scale * value - minimum;
      }
    }
  }
}

/** Q5_K: as Q4_K, with 32 bytes of fifth bits before the 4-bit values. */
function dequantiseQ5_K(bytes: Uint8Array, out: Float32Array): void {
  const half = halfReader(bytes);
  for (let block = 0, at = 0; block < out.length; block += 256, at += 176) {
    for (let group = 0; group < 8; group++) {
      const scale = half(at) * sixBits(bytes, at + 4, group, 0);
      const minimum = half(at + 2) * sixBits(bytes, at + 4, group, 4);
      const shift = (group & 1) * 4;
      for (let i = 0; i < 32; i++) {
        const fifth = (bytes[at + 16 + i]! >> group) & 1;
        const value = ((bytes[at + 48 + (group >> 1) * 32 + i]! >> shift) & 15) | (fifth << 4);
        out[block + group * 32 + i] = scale * value - minimum;
      }
    }
  }
}

/** Q6_K: 128 bytes of four low bits, 64 bytes of two high bits, 16 signed 8-bit scales, scale of scales. 16 groups of 16. */
function dequantiseQ6_K(bytes: Uint8Array<ArrayBuffer>, out: Float32Array): void {
  const half = halfReader(bytes);
  const signed = new Int8Array(bytes.buffer);
  for (let block = 0, at = 0; block < out.length; block += 256, at += 210) {
    const scaleOfScales = half(at + 208);
    for (let i = 0; i < 256; i++) {
      const part = i >> 7; // halves of 128 elements: 64 low bytes, 32 high bytes each
      const low = (bytes[at + part * 64 + (i & 63)]! >> (((i >> 6) & 1) * 4)) & 15;
      const high = (bytes[at + 128 + part * 32 + (i & 31)]! >> (((i >> 5) & 3) * 2)) & 3;
      out[block + i] = scaleOfScales * signed[at + 192 + (i >> 4)]! * ((low | (high << 4)) - 32);
    }
  }
}

const fourBytes = (bytes: Uint8Array, at: number) =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
