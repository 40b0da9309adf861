/** Whole reads and writes on a file handle: the operating system may do less than asked in one call. */
import type { FileHandle } from 'node:fs/promises';

/** Node refuses reads of 2 GiB and more. */
const largestChunk = 1 << 28;

/** Fills `target` from `position`; returns the bytes read, fewer only at the end of the file. */
export async function readFully(file: FileHandle, target: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const length = Math.min(largestChunk, target.length - done);
    const { bytesRead } = await file.read(target, done, length, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** Appends all of `bytes` at the handle's current position. */
export async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, Math.min(largestChunk, bytes.length - done));
    done += bytesWritten;
  }
}

const blockBytes = 1 << 20;
/** Blocks in memory: 32 MiB. */
const mostBlocks = 32;

/**
 * Reads of a file that mostly are small and near each other (the matrices of an adapter): whole blocks are read and kept for the next ones. What is longer
 * than a block is read by itself. The file must not change meanwhile.
 * @returns like `readFully`
 */
export function blockReader(file: FileHandle): (target: Uint8Array, position: number) => Promise<number> {
  const blocks = new Map<number, Uint8Array>();
  return async (target, position) => {
    if (target.length > blockBytes) return readFully(file, target, position);
    let done = 0;
    while (done < target.length) {
      const index = Math.floor((position + done) / blockBytes);
      const block = await blockAt(index);
      const start = position + done - index * blockBytes;
      const part = block.subarray(start, start + target.length - done);
      if (part.length === 0) break;
      target.set(part, done);
      done += part.length;
    }
    return done;
  };

  async function blockAt(index: number): Promise<Uint8Array> {
    const known = blocks.get(index);
    if (known) return known;
    const block = new Uint8Array(blockBytes);
    const read = block.subarray(0, await readFully(file, block, index * blockBytes));
    if (blocks.size === mostBlocks) blocks.delete(blocks.keys().next().value!);
    blocks.set(index, read);
    return read;
  }
}

/** Appends at the handle's current position, many small pieces in few writes. */
export function blockWriter(file: FileHandle): { write(bytes: Uint8Array): Promise<void>; flush(): Promise<void> } {
  const block = new Uint8Array(blockBytes);
  let filled = 0;
  const flush = async () => {
    await writeFully(file, block.subarray(0, filled));
    filled = 0;
  };
  return {
    flush,
    async write(bytes) {
      if (filled + bytes.length > blockBytes) await flush();
      if (bytes.length > blockBytes) return writeFully(file, bytes);
      block.set(bytes, filled);
      filled += bytes.length;
    },
  };
}
