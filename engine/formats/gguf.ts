/**
 * Reader of GGUF files, versions 2 and 3, little-endian: metadata, tensor table, and tensors dequantised one at a time.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Own reader, because `@huggingface/gguf` takes a truncated file's end for
 * zeros, keeps the last of two equal names and does not check tensors against the file.
 */
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { EngineError } from '../policy.ts';
import { blockTypeName, blockTypes } from './ggmlBlocks.ts';
import { readFully } from './positionalFile.ts';

/** Far above any real file: metadata and tensor table together, elements of one metadata array, names. */
const longestHeaderBytes = 512 * 2 ** 20;
const longestArray = 4_000_000;
const firstWindowBytes = 16 * 2 ** 20;

export type GgufValue = number | boolean | string | GgufValue[];

export interface GgufTensor {
  /** Slowest dimension first, as PyTorch writes shapes (the file has them the other way round). */
  shape: number[];
  /** ggml type number. */
  type: number;
  position: number;
  /** Undefined for a type that can't be read. */
  byteLength: number | undefined;
}

export interface GgufFile {
  path: string;
  version: number;
  /** 64-bit integers beyond 2^53 are rounded. */
  metadata: ReadonlyMap<string, GgufValue>;
  /** Under the file's own names. */
  tensors: ReadonlyMap<string, GgufTensor>;
  /** Dequantised to float32; rows of q and k as they lie in the file. */
  readFloat32(name: string): Promise<Float32Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/**
 * Opens a GGUF file and checks its header: counts, lengths, types, duplicate names, shapes, alignment, tensors inside the file and not overlapping.
 * @throws EngineError 'invalidInput' naming file, place and remedy.
 */
export async function readGguf(path: string): Promise<GgufFile> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    throw new EngineError('invalidInput', `${path}: can't be opened (${(cause as Error).message}). Check the path.`, {
      cause,
    });
  }
  try {
    const { version, metadata, tensors } = await readHeader(file, path);
    return {
      path,
      version,
      metadata,
      tensors,
      readFloat32: (name) => readTensor(file, path, tensors, name),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readTensor(file: FileHandle, path: string, tensors: ReadonlyMap<string, GgufTensor>, name: string) {
  const tensor = tensors.get(name);
  if (!tensor)
    throw new EngineError('invalidInput', `${path}: has no tensor "${name}". Check that the file is complete.`);
  const type = blockTypes.get(tensor.type);
  if (!type || tensor.byteLength === undefined) {
    const known = [...blockTypes.values()].map(({ name }) => name).join(', ');
    throw new EngineError(
      'invalidInput',
      `${path}: tensor "${name}" is of type ${blockTypeName(tensor.type)}, which can't be read. Use a file of these types: ${known}.`,
    );
  }
  const bytes = new Uint8Array(tensor.byteLength);
  if ((await readFully(file, bytes, tensor.position)) < bytes.length) {
    throw new EngineError(
      'invalidInput',
      `${path}: ends inside tensor "${name}"; it was cut after it was opened. Copy or download it again.`,
    );
  }
  const values = new Float32Array((bytes.length / type.blockBytes) * type.blockSize);
  type.dequantise(bytes, values);
  return values;
}

/** Parses the header from a window at the file's start; doubles the window when the header is longer. */
async function readHeader(file: FileHandle, path: string) {
  const stats = await file.stat();
  if (!stats.isFile()) throw new EngineError('invalidInput', `${path}: is not a file. Give the path of a .gguf file.`);
  for (let size = firstWindowBytes; ; size *= 2) {
    const window = new Uint8Array(Math.min(size, stats.size));
    const bytesRead = await readFully(file, window, 0);
    try {
      return parseHeader(new HeaderCursor(path, window.subarray(0, bytesRead), stats.size), stats.size);
    } catch (error) {
      if (!(error instanceof WindowTooSmall) || size > longestHeaderBytes) {
        if (!(error instanceof WindowTooSmall)) throw error;
        throw new EngineError(
          'invalidInput',
          `${path}: the header is longer than ${longestHeaderBytes} bytes. The file is damaged: download it again.`,
        );
      }
    }
  }
}

class WindowTooSmall extends Error {}

/** Reads numbers and strings one after another; knows when the file ends and when only the window does. */
class HeaderCursor {
  readonly path: string;
  private readonly bytes: Buffer;
  private readonly view: DataView;
  private readonly fileBytes: number;
  position = 0;

  constructor(path: string, window: Uint8Array, fileBytes: number) {
    this.path = path;
    this.bytes = Buffer.from(window.buffer, window.byteOffset, window.byteLength);
    this.view = new DataView(window.buffer, window.byteOffset, window.byteLength);
    this.fileBytes = fileBytes;
  }

  invalid(what: string): EngineError {
    return new EngineError(
      'invalidInput',
      `${this.path}: ${what} (at byte ${this.position}). It is damaged or not a GGUF file: copy or download it again.`,
    );
  }

  /** Steps over `count` bytes and returns where they start. */
  private take(count: number): number {
    const start = this.position;
    if (count > this.fileBytes - start) throw this.invalid('the header runs past the end of the file');
    if (count > this.bytes.length - start) throw new WindowTooSmall();
    this.position += count;
    return start;
  }

  uint8 = () => this.view.getUint8(this.take(1));
  int8 = () => this.view.getInt8(this.take(1));
  uint16 = () => this.view.getUint16(this.take(2), true);
  int16 = () => this.view.getInt16(this.take(2), true);
  uint32 = () => this.view.getUint32(this.take(4), true);
  int32 = () => this.view.getInt32(this.take(4), true);
  float32 = () => this.view.getFloat32(this.take(4), true);
  float64 = () => this.view.getFloat64(this.take(8), true);
  uint64 = () => Number(this.view.getBigUint64(this.take(8), true));
  int64 = () => Number(this.view.getBigInt64(this.take(8), true));

  boolean = () => {
    const value = this.uint8();
    if (value > 1) throw this.invalid(`a boolean is ${value}`);
    return value === 1;
  };

  string = () => {
    const length = this.uint64();
    const start = this.take(length);
    return this.bytes.toString('utf8', start, start + length);
  };

  /** A count of things that take at least `leastBytes` each: refused when the rest of the file can't hold them. */
  count(what: string, leastBytes: number, most = Infinity): number {
    const count = this.uint64();
    const room = Math.min(most, (this.fileBytes - this.position) / leastBytes);
    if (count > room) throw this.invalid(`claims ${count} ${what}, at most ${Math.floor(room)} are possible`);
    return count;
  }
}

function parseHeader(cursor: HeaderCursor, fileBytes: number) {
  const magic = cursor.uint32();
  if (magic !== 0x46554747) throw cursor.invalid('does not start with "GGUF"');
  const version = cursor.uint32();
  if (version !== 2 && version !== 3) {
    const bigEndian = (version & 0xffff) === 0 && version !== 0;
    throw cursor.invalid(
      bigEndian
        ? 'is a big-endian GGUF file, which is not supported'
        : `has GGUF version ${version}; versions 2 and 3 are read`,
    );
  }
  const tensorCount = cursor.count('tensors', 24);
  const metadata = readMetadata(cursor, cursor.count('metadata entries', 13));
  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || !Number.isInteger(alignment) || alignment < 1 || alignment > 2 ** 30) {
    throw cursor.invalid(`general.alignment is ${JSON.stringify(alignment)}`);
  }
  const table = Array.from({ length: tensorCount }, () => readTensorInfo(cursor));
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  return { version, metadata, tensors: checkTensors(cursor, table, alignment, dataStart, fileBytes) };
}

function readMetadata(cursor: HeaderCursor, count: number): Map<string, GgufValue> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const key = cursor.string();
    if (metadata.has(key)) throw cursor.invalid(`has metadata "${key.slice(0, 80)}" twice`);
    metadata.set(key, valueReader(cursor, cursor.uint32())());
  }
  return metadata;
}

/** Type number -> reader of one value; the second number is the least bytes such a value takes. */
function valueReader(cursor: HeaderCursor, type: number, depth = 0): () => GgufValue {
  const readers: (() => GgufValue)[] = [
    cursor.uint8,
    cursor.int8,
    cursor.uint16,
    cursor.int16,
    cursor.uint32,
    cursor.int32,
    cursor.float32,
    cursor.boolean,
    cursor.string,
    () => readArray(cursor, depth),
    cursor.uint64,
    cursor.int64,
    cursor.float64,
  ];
  const reader = readers[type];
  if (!reader) throw cursor.invalid(`has a metadata value of unknown type ${type}`);
  return reader;
}

const leastBytesOfType = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];

function readArray(cursor: HeaderCursor, depth: number): GgufValue[] {
  if (depth > 2) throw cursor.invalid('has metadata arrays nested too deeply');
  const type = cursor.uint32();
  const read = valueReader(cursor, type, depth + 1);
  const length = cursor.count('array elements', leastBytesOfType[type]!, longestArray);
  const values: GgufValue[] = [];
  for (let i = 0; i < length; i++) values.push(read());
  return values;
}

interface TensorInfo {
  name: string;
  shape: number[];
  type: number;
  offset: number;
}

function readTensorInfo(cursor: HeaderCursor): TensorInfo {
  const name = cursor.string();
  const dimensions = cursor.uint32();
  if (dimensions > 4)
    throw cursor.invalid(`tensor "${name.slice(0, 80)}" has ${dimensions} dimensions, at most 4 are possible`);
  const shape = Array.from({ length: dimensions }, () => cursor.uint64()).reverse();
  return { name, shape, type: cursor.uint32(), offset: cursor.uint64() };
}

function checkTensors(
  cursor: HeaderCursor,
  table: TensorInfo[],
  alignment: number,
  dataStart: number,
  fileBytes: number,
) {
  const tensors = new Map<string, GgufTensor>();
  for (const { name, shape, type: typeNumber, offset } of table) {
    const wrong = (what: string) => cursor.invalid(`tensor "${name.slice(0, 80)}" ${what}`);
    if (tensors.has(name)) throw wrong('is listed twice');
    if (offset % alignment !== 0) throw wrong(`starts at ${offset}, not a multiple of ${alignment}`);
    const type = blockTypes.get(typeNumber);
    const elements = shape.reduce((product, size) => product * size, 1);
    if (type && (shape.at(-1) ?? 1) % type.blockSize !== 0) {
      throw wrong(`has rows of ${shape.at(-1)} elements, ${type.name} needs a multiple of ${type.blockSize}`);
    }
    const byteLength = type && (elements / type.blockSize) * type.blockBytes;
    const position = dataStart + offset;
    if (position + (byteLength ?? 0) > fileBytes) {
      throw wrong(
        `of shape [${shape.join(', ')}] ends at byte ${position + (byteLength ?? 0)}, the file has ${fileBytes}`,
      );
    }
    tensors.set(name, { shape, type: typeNumber, position, byteLength });
  }
  let end = 0;
  for (const [name, { position, byteLength = 0 }] of [...tensors].sort(([, a], [, b]) => a.position - b.position)) {
    if (position < end) throw cursor.invalid(`tensor "${name.slice(0, 80)}" overlaps the one before it`);
    end = position + byteLength;
  }
  return tensors;
}
