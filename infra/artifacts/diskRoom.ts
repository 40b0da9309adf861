/** Room on the disk of a folder. */
import { statfs } from 'node:fs/promises';

/** So much is left free: a put that would leave less is refused, and nothing is computed where there is less. */
export const reserveBytes = 16 * 1024 * 1024;

export async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
