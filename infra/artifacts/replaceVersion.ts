/** Compare-and-swap of a file between processes without locks. */
import { readFile, rename, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from './digest.ts';
import { linked, whereAbsent } from './durableFiles.ts';
import { DocumentConflictError } from './errors.ts';

/** A replacement that was claimed and not finished for this long belongs to a dead writer. */
const CLAIM_MS = 10_000;

export interface VersionedFile {
  uri: string;
  target: string;
  /** A name made of the document's key and the version that is replaced, on the same disk. */
  claim: string;
}

/**
 * To replace version E of a document, a writer links its new content (`temporary`) to the claim, which only one can; it then renames that over the document.
 * A writer that dies between the two has left its finished content under that name, so whoever comes later completes the replacement.
 * @param etag of the version that is replaced: SHA-256 of its content, hex.
 * @throws DocumentConflictError where another version is there.
 */
export async function replaceVersion(file: VersionedFile, temporary: string, etag: string): Promise<void> {
  const { uri, target, claim } = file;
  for (;;) {
    const before = await etagOf(target);
    if (before !== etag) throw new DocumentConflictError(uri, etag, before);
    if (await linked(temporary, claim)) break;
    const since = await stat(claim).catch(whereAbsent(undefined));
    if (since && Date.now() - since.mtimeMs > CLAIM_MS) await rename(claim, target).catch(whereAbsent(undefined));
    else await sleep(5);
  }
  const now = await etagOf(target);
  if (now !== etag) {
    await rm(claim, { force: true });
    throw new DocumentConflictError(uri, etag, now);
  }
  await rename(claim, target).catch(whereAbsent(undefined)); // absent: somebody has completed it for us
}

async function etagOf(path: string): Promise<string | undefined> {
  const bytes = await readFile(path).catch(whereAbsent(undefined));
  return bytes && sha256(bytes);
}
