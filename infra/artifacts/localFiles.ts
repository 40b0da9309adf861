/** Artifacts as files on this machine that stay where they are: fetched and hashed once a process, not each time a stage needs them. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ArtifactRef, ArtifactStore } from './artifactStore.ts';

/** By path: what was found sound there, and what the file looked like then. The newest are kept. */
const sound = new Map<string, string>();
const mostKnown = 512;

/**
 * Makes a file hold an artifact. Where this process has found it sound before and nothing was written to it since (same inode, size and time of change),
 * nothing is read; else as `ArtifactStore.fetchToFile`, which checks the digest.
 * @throws as `fetchToFile`
 */
export async function keepLocal(store: ArtifactStore, ref: ArtifactRef, path: string): Promise<void> {
  const key = resolve(path);
  const looks = await looksOf(key);
  if (looks && sound.get(key) === `${ref.sha256} ${looks}`) return;
  await store.fetchToFile(ref, path);
  sound.delete(key);
  sound.set(key, `${ref.sha256} ${await looksOf(key)}`);
  if (sound.size > mostKnown) sound.delete(sound.keys().next().value!);
}

async function looksOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && `${found.dev} ${found.ino} ${found.size} ${found.mtimeNs}`;
}
