/**
 * Writes a GGUF file's model again with all matrices as Q8_0, for llama.cpp's 8-bit kernels. Metadata (tokenizer, shapes) is copied byte for byte.
 * Q8_0: blocks of 32 elements, a float16 scale d = max|x| / 127, then 32 signed bytes round(x / d) (ggml `quantize_row_q8_0_ref`).
 */
import { open } from 'node:fs/promises';
import { readGguf } from '../../engine/formats/gguf.ts';
import type { GgufFile, GgufTensor } from '../../engine/formats/gguf.ts';
import { readFully, writeFully } from '../../engine/formats/positionalFile.ts';

const [float32Type, q8Type] = [0, 8];
const blockSize = 32;
const blockBytes = 34;
const alignment = 32;

/** Throws EngineError if the source is malformed. */
export async function writeQ8Gguf(sourcePath: string, path: string): Promise<void> {
  const source = await readGguf(sourcePath);
  const file = await open(path, 'w');
  try {
    const tensors = [...source.tensors].map(([name, { shape }]) => {
      const elements = shape.reduce((product, size) => product * size, 1);
      const quantised = shape.length > 1 && shape.at(-1)! % blockSize === 0;
      const byteLength = quantised ? (elements / blockSize) * blockBytes : 4 * elements;
      return { name, shape, type: quantised ? q8Type : float32Type, byteLength };
    });
    let offset = 0;
    const table = tensors.map(({ name, shape, type, byteLength }) => {
      const entry = tableEntry(name, shape, type, offset);
      offset += Math.ceil(byteLength / alignment) * alignment;
      return entry;
    });
    await writeFully(file, padded(Buffer.concat([await metadataBytes(source), ...table])));
    for (const { name, type } of tensors) {
      const values = await source.readFloat32(name);
      await writeFully(file, padded(type === q8Type ? quantiseQ8(values) : new Uint8Array(values.buffer)));
    }
  } finally {
    await file.close();
    await source.close();
  }
}

/** [elements], a multiple of 32 -> whole blocks. */
export function quantiseQ8(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / blockSize) * blockBytes);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block * blockSize < values.length; block++) {
    const start = block * blockSize;
    let largest = 0;
    for (let i = 0; i < blockSize; i++) largest = Math.max(largest, Math.abs(values[start + i]!));
    const scale = largest / 127;
    view.setUint16(block * blockBytes, float16Bits(scale), true);
    for (let i = 0; i < blockSize; i++)
      view.setInt8(block * blockBytes + 2 + i, scale === 0 ? 0 : Math.round(values[start + i]! / scale));
  }
  return bytes;
}

/** The nearest float16 to a number of 0 or more and below 65,520. */
function float16Bits(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.max(-14, Math.floor(Math.log2(value)));
  const fraction = Math.round((value / 2 ** exponent) * 1024);
  // Below 2^-14 the fraction has no leading one: the same sum then gives exponent 0.
  return (exponent + 14) * 1024 + fraction;
}

/** Everything before the tensor table: magic, version, counts, metadata. */
async function metadataBytes(source: GgufFile): Promise<Uint8Array> {
  const first = [...source.tensors][0];
  if (!first) throw new Error(`${source.path} has no tensors`);
  const dataStart = Math.min(...[...source.tensors.values()].map(({ position }) => position));
  const header = Buffer.alloc(dataStart);
  const file = await open(source.path, 'r');
  await readFully(file, header, 0).finally(() => file.close());
  const [name, { shape, type }] = first as [string, GgufTensor];
  // The table's first entry up to its offset; no metadata looks like it.
  return header.subarray(0, header.indexOf(tableEntry(name, shape, type, 0).subarray(0, -8)));
}

function tableEntry(name: string, shape: readonly number[], type: number, offset: number): Buffer {
  const text = Buffer.from(name);
  const entry = Buffer.alloc(8 + text.length + 4 + 8 * shape.length + 4 + 8);
  let position = entry.writeBigUInt64LE(BigInt(text.length));
  position += text.copy(entry, position);
  position = entry.writeUInt32LE(shape.length, position);
  for (const size of shape.toReversed()) position = entry.writeBigUInt64LE(BigInt(size), position);
  position = entry.writeUInt32LE(type, position);
  entry.writeBigUInt64LE(BigInt(offset), position);
  return entry;
}

function padded(bytes: Uint8Array): Uint8Array {
  const missing = (alignment - (bytes.length % alignment)) % alignment;
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)]);
}
