/**
 * Reader and writer of safetensors files: 8 bytes little-endian header length, a JSON header, then the tensors' bytes without gaps.
 * Format: https://github.com/huggingface/safetensors#format. Files come from strangers, so every bound is checked before it is used,
 * and no allocation is larger than what the file really holds.
 */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { EngineError } from '../policy.ts';
import { findDuplicateKey } from './duplicateKeys.ts';
import { bfloat16ToFloat32, float16ToFloat32 } from './halfFloats.ts';
import { blockReader, blockWriter, readFully } from './positionalFile.ts';

const bytesPerElement = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I16: 2,
  U16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  U32: 4,
  F32: 4,
  I64: 8,
  U64: 8,
  F64: 8,
} as const;

export type SafetensorsDtype = keyof typeof bytesPerElement;

/** The limit of the reference implementation. */
const longestHeaderBytes = 100_000_000;

export interface SafetensorsEntry {
  dtype: SafetensorsDtype;
  shape: number[];
  /** Position in the file of the tensor's first byte. */
  position: number;
  byteLength: number;
}

/** An open safetensors file. Tensors are read one at a time, when asked for. */
export interface SafetensorsFile {
  path: string;
  metadata: Record<string, string>;
  /** In the order of the file's bytes. */
  tensors: ReadonlyMap<string, SafetensorsEntry>;
  /** The tensor's bytes as they lie in the file. */
  readBytes(name: string): Promise<Uint8Array<ArrayBuffer>>;
  /** The tensor converted to float32 (F16 and BF16 exactly, F64 and wide integers rounded). */
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>>;
  /** The tensor converted to float64; I64 and U64 beyond 2^53 are rounded. */
  readFloat64(name: string): Promise<Float64Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/**
 * Opens a safetensors file and checks its header: lengths, JSON, duplicate names, dtypes, shapes against byte lengths, offsets without gaps
 * or overlaps up to the end of the file.
 * @throws EngineError 'invalidInput' naming file, tensor, what is wrong and what to do.
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await openFile(path);
  try {
    const { metadata, tensors } = await readHeader(file, path);
    const entryOf = (name: string) => {
      const entry = tensors.get(name);
      if (!entry) throw invalid(path, `has no tensor "${name}"`, 'Check that it belongs to this model or adapter.');
      return entry;
    };
    const read = blockReader(file);
    const readBytes = async (name: string) => {
      const entry = entryOf(name);
      const bytes = new Uint8Array(entry.byteLength);
      if ((await read(bytes, entry.position)) < bytes.length) {
        throw invalid(
          path,
          `ends inside tensor "${name}"; it was cut after it was opened`,
          'Copy or download it again.',
        );
      }
      return bytes;
    };
    return {
      path,
      metadata,
      tensors,
      readBytes,
      readFloat32: async (name) => toFloat32(entryOf(name), await readBytes(name), path, name),
      readFloat64: async (name) => toFloat64(entryOf(name), await readBytes(name), path, name),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

export type TensorData = Float32Array | Float64Array | Uint8Array | Int32Array | BigInt64Array;

export interface TensorToWrite {
  name: string;
  shape: readonly number[];
  /** Default F32. With a Uint8Array as data any dtype: the bytes are written as they are. */
  dtype?: SafetensorsDtype;
  /** The values, or a function called when their turn comes, so that only one large tensor is in memory at a time. */
  data: TensorData | (() => Promise<TensorData> | TensorData);
}

/**
 * Writes a safetensors file whose bytes depend on nothing but the arguments: tensors sorted by name (UTF-16 code units), metadata sorted by key,
 * header padded with spaces to a multiple of 8. Written under a temporary name, flushed and renamed: no half file under the final name.
 * @throws EngineError 'invalidInput' if a name occurs twice or data do not fit their shape.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Record<string, string> = {},
): Promise<void> {
  const sorted = [...tensors].sort((a, b) => compareNames(a.name, b.name));
  const { header, lengths } = encodeHeader(path, sorted, metadata);
  const temporaryPath = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const file = await open(temporaryPath, 'wx');
  try {
    const writer = blockWriter(file);
    await writer.write(header);
    for (const [index, tensor] of sorted.entries()) {
      const data = typeof tensor.data === 'function' ? await tensor.data() : tensor.data;
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      if (bytes.length !== lengths[index]) {
        throw invalid(
          path,
          `can't be written: tensor "${tensor.name}" has ${bytes.length} bytes, its shape [${tensor.shape.join(', ')}] needs ${lengths[index]}`,
          'Give data that fit the shape and dtype.',
        );
      }
      await writer.write(bytes);
    }
    await writer.flush();
    await file.sync();
    await file.close();
    await rename(temporaryPath, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(temporaryPath, { force: true });
    throw error;
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw new EngineError('invalidInput', `${path}: can't be opened (${(cause as Error).message}). Check the path.`, {
      cause,
    });
  }
}

async function readHeader(file: FileHandle, path: string) {
  const remedy = 'It is damaged or not a safetensors file: copy or download it again.';
  const stats = await file.stat();
  if (!stats.isFile()) throw invalid(path, 'is not a file', 'Give the path of a safetensors file.');
  const lengthBytes = new Uint8Array(8);
  if ((await readFully(file, lengthBytes, 0)) < 8) throw invalid(path, `has only ${stats.size} bytes`, remedy);
  const headerLength = new DataView(lengthBytes.buffer).getBigUint64(0, true);
  const room = stats.size - 8;
  if (headerLength > BigInt(longestHeaderBytes) || headerLength > BigInt(room) || headerLength < 2n) {
    throw invalid(path, `claims a header of ${headerLength} bytes; the file has ${room} after the length`, remedy);
  }
  const headerBytes = new Uint8Array(Number(headerLength));
  if ((await readFully(file, headerBytes, 8)) < headerBytes.length)
    throw invalid(path, 'ends inside its header', remedy);
  const header = parseHeader(headerBytes, path, remedy);
  const dataStart = 8 + headerBytes.length;
  return checkEntries(header, path, dataStart, stats.size - dataStart, remedy);
}

function parseHeader(bytes: Uint8Array, path: string, remedy: string): Record<string, unknown> {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (cause) {
    throw new EngineError('invalidInput', `${path}: the header is not JSON (${(cause as Error).message}). ${remedy}`, {
      cause,
    });
  }
  if (!isRecord(header)) throw invalid(path, 'has a header that is not a JSON object', remedy);
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) throw invalid(path, `has "${duplicate}" twice in its header`, remedy);
  return header;
}

function checkEntries(
  header: Record<string, unknown>,
  path: string,
  dataStart: number,
  dataBytes: number,
  remedy: string,
) {
  const metadata = checkMetadata(header['__metadata__'], path, remedy);
  const entries: [string, SafetensorsEntry][] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name !== '__metadata__') entries.push([name, checkEntry(name, value, path, dataStart, dataBytes, remedy)]);
  }
  entries.sort(([, a], [, b]) => a.position - b.position || a.byteLength - b.byteLength);
  let end = dataStart;
  for (const [name, entry] of entries) {
    if (entry.position !== end) {
      throw invalid(
        path,
        `has a gap or an overlap before tensor "${name}" (starts at ${entry.position - dataStart}, expected ${end - dataStart})`,
        remedy,
      );
    }
    end = entry.position + entry.byteLength;
  }
  if (end !== dataStart + dataBytes) {
    throw invalid(path, `has ${dataBytes} bytes of data, its header describes ${end - dataStart}`, remedy);
  }
  return { metadata, tensors: new Map(entries) };
}

function checkMetadata(value: unknown, path: string, remedy: string): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (!isRecord(value) || Object.values(value).some((item) => typeof item !== 'string')) {
    throw invalid(path, 'has metadata that do not map strings to strings', remedy);
  }
  return value as Record<string, string>;
}

function checkEntry(
  name: string,
  value: unknown,
  path: string,
  dataStart: number,
  dataBytes: number,
  remedy: string,
): SafetensorsEntry {
  const wrong = (what: string) => invalid(path, `describes tensor "${name}" wrongly: ${what}`, remedy);
  if (!isRecord(value)) throw wrong('not an object');
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(bytesPerElement, dtype)) {
    throw wrong(`unknown dtype ${JSON.stringify(dtype)} (known: ${Object.keys(bytesPerElement).join(', ')})`);
  }
  if (!Array.isArray(shape) || shape.length > 16 || !shape.every(isCount))
    throw wrong(`shape ${JSON.stringify(shape)}`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw wrong(`data_offsets ${JSON.stringify(offsets)}`);
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > dataBytes)
    throw wrong(`data_offsets [${begin}, ${end}] outside of the ${dataBytes} bytes of data`);
  const elements = (shape as number[]).reduce((product, size) => product * size, 1);
  const byteLength = elements * bytesPerElement[dtype as SafetensorsDtype];
  if (byteLength !== end - begin) {
    throw wrong(`${dtype} of shape [${shape.join(', ')}] needs ${byteLength} bytes, data_offsets give ${end - begin}`);
  }
  return { dtype: dtype as SafetensorsDtype, shape: shape as number[], position: dataStart + begin, byteLength };
}

function encodeHeader(path: string, sorted: TensorToWrite[], metadata: Record<string, string>) {
  const header: [string, unknown][] = [];
  const metadataEntries = Object.entries(metadata).sort(([a], [b]) => compareNames(a, b));
  if (metadataEntries.length > 0) header.push(['__metadata__', Object.fromEntries(metadataEntries)]);
  const lengths: number[] = [];
  let end = 0;
  for (const [index, { name, shape, dtype = 'F32' }] of sorted.entries()) {
    if (name === sorted[index - 1]?.name || name === '__metadata__') {
      throw invalid(
        path,
        `can't be written: the name "${name}" is given twice or reserved`,
        'Give each tensor its own name.',
      );
    }
    const byteLength = shape.reduce((product, size) => product * size, bytesPerElement[dtype]);
    header.push([name, { dtype, shape, data_offsets: [end, end + byteLength] }]);
    lengths.push(byteLength);
    end += byteLength;
  }
  // Built by hand: an object would move names like "0" to the front.
  const text = `{${header.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  const json = new TextEncoder().encode(text);
  const padded = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  padded.set(json, 8);
  return { header: padded, lengths };
}

/** A view of the bytes in their own dtype. The bytes start at offset 0 of their buffer, so every alignment holds. */
function typedView(entry: SafetensorsEntry, bytes: Uint8Array<ArrayBuffer>, path: string, name: string) {
  const { buffer } = bytes;
  switch (entry.dtype) {
    case 'F32':
      return new Float32Array(buffer);
    case 'F64':
      return new Float64Array(buffer);
    case 'F16':
      return float16ToFloat32(new Uint16Array(buffer));
    case 'BF16':
      return bfloat16ToFloat32(new Uint16Array(buffer));
    case 'BOOL':
    case 'U8':
      return bytes;
    case 'I8':
      return new Int8Array(buffer);
    case 'I16':
      return new Int16Array(buffer);
    case 'U16':
      return new Uint16Array(buffer);
    case 'I32':
      return new Int32Array(buffer);
    case 'U32':
      return new Uint32Array(buffer);
    case 'I64':
      return Float64Array.from(new BigInt64Array(buffer), Number);
    case 'U64':
      return Float64Array.from(new BigUint64Array(buffer), Number);
    default:
      throw invalid(
        path,
        `stores tensor "${name}" as ${entry.dtype}, which is not supported`,
        'Convert it to F32, F16 or BF16 first.',
      );
  }
}

function toFloat32(
  entry: SafetensorsEntry,
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  name: string,
): Float32Array<ArrayBuffer> {
  const view = typedView(entry, bytes, path, name);
  return view instanceof Float32Array ? view : Float32Array.from(view);
}

function toFloat64(
  entry: SafetensorsEntry,
  bytes: Uint8Array<ArrayBuffer>,
  path: string,
  name: string,
): Float64Array<ArrayBuffer> {
  const view = typedView(entry, bytes, path, name);
  return view instanceof Float64Array ? view : Float64Array.from(view);
}

const compareNames = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const invalid = (path: string, what: string, remedy: string) =>
  new EngineError('invalidInput', `${path}: ${what}. ${remedy}`);
