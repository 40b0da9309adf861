/** Builds the bytes of small GGUF files, well-formed or with a field changed, for tests. */

export type MetadataToWrite = Record<string, { type: number; value: Uint8Array }>;

export const u32 = (value: number) => new Uint8Array(new Uint32Array([value]).buffer);
export const u64 = (value: number | bigint) => new Uint8Array(new BigUint64Array([BigInt(value)]).buffer);
export const f32 = (value: number) => new Uint8Array(new Float32Array([value]).buffer);
export const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);
export const texts = (values: string[]) => Buffer.concat([u32(8), u64(values.length), ...values.map(text)]);
export const i32s = (values: number[]) =>
  Buffer.concat([u32(5), u64(values.length), new Uint8Array(new Int32Array(values).buffer)]);

export interface TensorOfFile {
  name: string;
  /** Fastest dimension first, as in the file. */
  dimensions: (number | bigint)[];
  type: number;
  offset: number | bigint;
}

export interface GgufParts {
  magic?: string;
  version?: number;
  metadata?: [string, number, Uint8Array][];
  tensors?: TensorOfFile[];
  /** Claimed numbers, where they differ from the real ones. */
  tensorCount?: number | bigint;
  metadataCount?: number | bigint;
  alignment?: number;
  data?: Uint8Array;
}

export function ggufBytes({
  magic = 'GGUF',
  version = 3,
  metadata = [],
  tensors = [],
  tensorCount = tensors.length,
  metadataCount = metadata.length,
  alignment = 32,
  data = new Uint8Array(0),
}: GgufParts): Buffer {
  const header = Buffer.concat([
    Buffer.from(magic),
    u32(version),
    u64(tensorCount),
    u64(metadataCount),
    ...metadata.flatMap(([key, type, value]) => [text(key), u32(type), value]),
    ...tensors.flatMap(({ name, dimensions, type, offset }) => [
      text(name),
      u32(dimensions.length),
      ...dimensions.map(u64),
      u32(type),
      u64(offset),
    ]),
  ]);
  const padding = Buffer.alloc((alignment - (header.length % alignment)) % alignment);
  return Buffer.concat([header, padding, data]);
}
