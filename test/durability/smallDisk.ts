/** Small file systems in memory, for disks that are to be full. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const smallDiskBytes = 96 * 2 ** 20;

export interface SmallDisk {
  folder: string;
  remove(): Promise<void>;
}

/** A file system of 96 MB in memory, or why there can be none. */
export async function smallDisk(): Promise<SmallDisk | { missing: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'cada-disk-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${smallDiskBytes}`, 'tmpfs', folder]);
  } catch (error) {
    await rm(folder, { recursive: true });
    return {
      missing: `a small file system can't be mounted here (${(error as Error).message.trim().split('\n').at(-1)})`,
    };
  }
  return {
    folder,
    remove: async () => {
      await run('umount', ['-l', folder]);
      await rm(folder, { recursive: true });
    },
  };
}

/** Leaves no room on a folder's file system, but for what a block holds. Answers with what makes room again. */
export async function fillDisk(folder: string): Promise<() => Promise<void>> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free > smallDiskBytes) throw new Error(`${folder} is not on the small disk: it is not filled`);
  const ballast = join(folder, 'ballast');
  await writeFile(ballast, Buffer.alloc(free)).catch(() => undefined);
  return () => rm(ballast, { force: true });
}
