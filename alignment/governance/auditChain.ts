/**
 * The audit log of a run as a chain: each entry carries the digest of the one before it, and a head names the newest. Whoever changes, removes or inserts an
 * entry must write everything after it anew, and the head too; a head that was noted elsewhere tells even that.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

/** What is told of a decision or a change. */
export interface AuditNote {
  /** A person's name, `guard`, `release policy`, `Temporal client ...`. */
  who: string;
  /** What was done, in a few words: `pause`, `approved`. */
  what: string;
  why?: string;
  /** Plain values that say more; digests rather than references. */
  details?: Record<string, unknown>;
}

/** As `runs/<id>/audit/<number>.json` keeps it. */
export interface AuditEntry extends AuditNote {
  runId: string;
  /** From 1. */
  number: number;
  /** ISO time. */
  at: string;
  details: Record<string, unknown>;
  /** Of this one event: an attempt that is repeated writes no second entry. */
  event: string;
  /** Digest of the entry before; null for the first. */
  previous: string | null;
}

/** The newest entry, as `runs/<id>/audit/head.json` keeps it. */
export interface AuditHead {
  number: number;
  sha256: string;
}

/** SHA-256 (hex) of an entry's canonical JSON (RFC 8785), whatever the order of its keys. */
export function entryDigest(entry: AuditEntry): string {
  return createHash('sha256')
    .update(canonicalize(entry) as string)
    .digest('hex');
}

/** The entry that follows `head`. */
export function nextEntry(
  runId: string,
  head: AuditHead | undefined,
  note: AuditNote,
  { at, event }: Pick<AuditEntry, 'at' | 'event'>,
): AuditEntry {
  const { who, what, why, details = {} } = note;
  return {
    ...{ runId, number: (head?.number ?? 0) + 1, at, who, what },
    ...(why === undefined ? {} : { why }),
    ...{ details, event, previous: head?.sha256 ?? null },
  };
}

/** Where a chain breaks first: number of the entry that is not what was written, and what is wrong with it. */
export interface BrokenLink {
  number: number;
  fault: string;
  /** It is not there at all. */
  removed?: true;
}

/**
 * Checks a chain from its first entry to its head.
 * @param entries by the number in their name, in order; `entry` undefined = it can't be read
 * @param head undefined = there is none; a writer that died between its entry and the head leaves the head one behind
 * @returns the first broken link, or undefined
 */
export function verifyChain(
  runId: string,
  entries: readonly { number: number; entry: AuditEntry | undefined }[],
  head: AuditHead | undefined,
): BrokenLink | undefined {
  let previous: string | null = null;
  for (const [index, { number, entry }] of entries.entries()) {
    const due = index + 1;
    if (number !== due) return { number: due, fault: 'is missing: it was removed', removed: true };
    if (!entry) return { number, fault: 'can not be read: it was altered' };
    if (entry.number !== number || entry.runId !== runId)
      return { number, fault: `is not the entry ${number} of this run: it was put in its place` };
    if (entry.previous !== previous)
      return index === 0
        ? { number, fault: 'names an entry before it: it was altered, or is not the first' }
        : { number: number - 1, fault: `is not the one that entry ${number} follows: one of the two was altered` };
    previous = entryDigest(entry);
    if (head?.number === number && head.sha256 !== previous)
      return { number, fault: 'is not the one that the head names: it was altered' };
  }
  if (head && head.number > entries.length)
    return {
      number: entries.length + 1,
      fault: 'is missing, and the head names a later one: it was removed',
      removed: true,
    };
  // The first entry may have come without a head, where its writer died between the two.
  if (!head && entries.length > 1)
    return { number: entries.length, fault: 'may not be the newest: the head of the chain was removed' };
  return undefined;
}
