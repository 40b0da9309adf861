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
