/** File operations that a power cut or another process in between does not leave half done. */
import { link, mkdir, open, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Sets a file's time to now; false where it is gone or belongs to another user. */
export async function renew(path: string): Promise<boolean> {
  const now = new Date();
  return utimes(path, now, now).then(
    () => true,
    () => false,
  );
}

/** For `.catch`: a fallback where the file does not exist; other errors go on. */
export function whereAbsent<F>(fallback: F): (error: NodeJS.ErrnoException) => F {
  return (error) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return fallback;
    throw error;
  };
}

/** Links exclusively; false where the name is taken. */
export async function linked(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
}

/** Like `mkdir -p`, with the new names flushed to the disk. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** Makes a new name in a folder survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
