/**
 * Nothing is computed while the disk has no room to keep it. The worker waits for some, holding the shard: one that failed at once would take and fail one
 * shard after the other.
 */
import { Context } from '@temporalio/activity';
import { StoreFullError } from '../infra/artifacts/artifactStore.ts';
import { freeBytesOf, reserveBytes } from '../infra/artifacts/diskRoom.ts';

export interface RoomOptions {
  /** Free bytes on the disk of a folder. @default statfs */
  freeBytes?: (folder: string) => Promise<number>;
  /** After so long the shard is given back: another worker may have room. */
  longestWaitMs?: number;
  pollMs?: number;
  /** Called once, with what is missing, before the wait. */
  onWait: (full: StoreFullError) => void;
}

/** To be called within an activity. @throws StoreFullError if there is no room in time */
export async function roomToCompute(folder: string, options: RoomOptions): Promise<void> {
  const { freeBytes = freeBytesOf, longestWaitMs = 30_000, pollMs = 1_000, onWait } = options;
  for (let waitedMs = 0; ; waitedMs += pollMs) {
    const free = await freeBytes(folder);
    if (free >= reserveBytes) return;
    const full = new StoreFullError(folder, reserveBytes, free);
    if (waitedMs === 0) onWait(full);
    if (waitedMs >= longestWaitMs) throw full;
    await Context.current().sleep(pollMs);
  }
}
