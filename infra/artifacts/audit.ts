/**
 * The audit log of a run in the store: `runs/<id>/audit/<number>.json`, one document an entry, written once, and `audit/head.json`, which names the newest.
 * Any number of writers may append at the same time: who finds a number taken goes on from the entry that took it.
 */
import { randomUUID } from 'node:crypto';
import pLimit from 'p-limit';
import {
  entryDigest,
  nextEntry,
  verifyChain,
  type AuditEntry,
  type AuditHead,
  type AuditNote,
  type BrokenLink,
} from '../../alignment/governance/auditChain.ts';
import type { ArtifactStore } from './artifactStore.ts';
import { DocumentConflictError, DocumentCorruptError } from './errors.ts';
import { checkSegment } from './keys.ts';

const readsAtOnce = 8;

export interface AppendOptions {
  /**
   * Names what is told: where it is in the log already, nothing is added. Attempts of one activity give the same. To see to that the log is read: who
   * tells each thing once leaves it out.
   * @default a new one
   */
  event?: string;
  now?: Date;
}

export interface AuditLog {
  entries: AuditEntry[];
  head?: AuditHead;
  /** Where the chain breaks first; absent = it is whole. */
  broken?: BrokenLink;
}

/**
 * Adds an entry to a run's log.
 * @returns the entry as it is in the log: an earlier one where its event is there already
 */
export async function appendAudit(
  store: ArtifactStore,
  runId: string,
  note: AuditNote,
  { event: named, now = new Date() }: AppendOptions = {},
): Promise<AuditEntry> {
  const known = named === undefined ? undefined : await knownEntry(store, runId, named);
  if (known) return known;
  const event = named ?? randomUUID();
  let head = (await store.getDocument<AuditHead>(headKey(runId)))?.value;
  for (;;) {
    const entry = nextEntry(runId, head, note, { at: now.toISOString(), event });
    const put = await store.putDocument(entryKey(runId, entry.number), entry, 'ifAbsent');
    const winner = put.value as AuditEntry;
    head = { number: entry.number, sha256: entryDigest(winner) };
    // Another writer's entry has this number; or an attempt before this one has written ours.
    if (put.adopted && winner.event !== event) continue;
    await advanceHead(store, runId, head);
    return winner;
  }
}

/** The log of a run, checked; without entries where nothing has been written. */
export async function readAudit(store: ArtifactStore, runId: string): Promise<AuditLog> {
  // First: an entry that is written meanwhile must not seem removed.
  const head = (await store.getDocument<AuditHead>(headKey(runId)).catch(whereCorrupt))?.value;
  const numbered = await readEntries(store, runId);
  const broken = verifyChain(runId, numbered, head);
  return {
    entries: numbered.flatMap(({ entry }) => entry ?? []),
    ...(head ? { head } : {}),
    ...(broken ? { broken } : {}),
  };
}

async function readEntries(
  store: ArtifactStore,
  runId: string,
): Promise<{ number: number; entry: AuditEntry | undefined }[]> {
  const numbers: number[] = [];
  for await (const key of store.listDocuments(folderOf(runId))) {
    const number = /^(\d+)\.json$/.exec(key.slice(folderOf(runId).length))?.[1];
    if (number !== undefined) numbers.push(Number(number));
  }
  const limit = pLimit(readsAtOnce);
  return Promise.all(
    numbers
      .sort((a, b) => a - b)
      .map((number) =>
        limit(async () => ({
          number,
          entry: (await store.getDocument<AuditEntry>(entryKey(runId, number)).catch(whereCorrupt))?.value,
        })),
      ),
  );
}

async function knownEntry(store: ArtifactStore, runId: string, event: string): Promise<AuditEntry | undefined> {
  return (await readEntries(store, runId)).find(({ entry }) => entry?.event === event)?.entry;
}

/** The head only rises: of two writers the one with the later entry wins, whoever comes last. */
async function advanceHead(store: ArtifactStore, runId: string, head: AuditHead): Promise<void> {
  for (;;) {
    const found = await store.getDocument<AuditHead>(headKey(runId));
    if (found && found.value.number >= head.number) return;
    try {
      const put = await store.putDocument(headKey(runId), head, found ? { ifMatch: found.etag } : 'ifAbsent');
      if (!put.adopted || (put.value as AuditHead).number >= head.number) return;
    } catch (error) {
      if (!(error instanceof DocumentConflictError)) throw error;
    }
  }
}

const folderOf = (runId: string): string => `runs/${checkSegment(runId, 'run id')}/audit/`;
const entryKey = (runId: string, number: number): string => `${folderOf(runId)}${number}.json`;
const headKey = (runId: string): string => `${folderOf(runId)}head.json`;

function whereCorrupt(error: unknown): undefined {
  if (error instanceof DocumentCorruptError) return undefined;
  throw error;
}
