import { isAbsolute, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InvalidKeyError } from './errors.ts';
import type { FolderStoreOptions } from './folderStore.ts';
import type { S3StoreOptions } from './s3Store.ts';

export * from './errors.ts';

/** What travels between stages instead of the bytes: where they are and how to know them again. */
export interface ArtifactRef {
  /** `<store uri>/objects/<sha256>`; for people. A store finds the object by its digest, so a moved store stays valid. */
  uri: string;
  sha256: string;
  bytes: number;
  /** In the producer's words, e.g. `chains`, `adapter`, `model`. */
  kind: string;
}

export interface StoredObject {
  sha256: string;
  bytes: number;
  /** When it was put, the last time where it was put several times. By the clock of the store. */
  putAt: Date;
}

export type PutCondition = 'ifAbsent' | 'replace' | { ifMatch: string };

export interface PutDocumentResult {
  etag: string;
  /** The stored value: with `adopted`, the one that was there already. */
  value: unknown;
  adopted: boolean;
}

/**
 * Immutable objects named by their digest, and small JSON documents with conditional writes, in a folder or in S3.
 * Nothing half-written is ever visible in either. Document keys look like `runs/my-run/run.json` (see {@link checkKey}).
 */
export interface ArtifactStore {
  /** `file:///absolute/folder` or `s3://bucket/prefix`. */
  readonly uri: string;

  /** Publishes a file as an object. Idempotent; a damaged object of the same digest is replaced. */
  putFile(path: string, kind: string): Promise<ArtifactRef>;
  /** The same for a file that nobody will write to again: a folder store may keep a hard link to it instead of a copy. */
  giveFile(path: string, kind: string): Promise<ArtifactRef>;
  putBytes(bytes: Uint8Array | string, kind: string): Promise<ArtifactRef>;
  /** @throws ArtifactMissingError, ArtifactCorruptError */
  getBytes(ref: ArtifactRef): Promise<Uint8Array>;
  /**
   * Puts the object at `path` under its final name only when its digest is verified. A file that is already there with
   * the right digest is kept. From a folder store this may be a hard link: treat the file as read-only.
   * @throws ArtifactMissingError, ArtifactCorruptError
   */
  fetchToFile(ref: ArtifactRef, path: string): Promise<void>;
  /** Whether the object is there with the right size (its digest is not read). */
  has(ref: ArtifactRef): Promise<boolean>;
  /** Reads the whole object, as a stream, and compares its digest. @throws ArtifactMissingError, ArtifactCorruptError */
  checkObject(ref: ArtifactRef): Promise<void>;
  /**
   * Removes an object, e.g. one found damaged. No error if there is none. With `putBefore` only where it was last put before
   * that moment; answers whether it was there and went.
   */
  deleteObject(sha256: string, putBefore?: Date): Promise<boolean>;
  listObjects(): AsyncIterable<StoredObject>;

  /**
   * Writes a JSON document. `ifAbsent`: who comes second gets the winner's value (`adopted`), also after an unanswered
   * request. `ifMatch`: replaces exactly that version.
   * @throws DocumentConflictError where `ifMatch` does not hold
   */
  putDocument(key: string, value: unknown, condition: PutCondition): Promise<PutDocumentResult>;
  /** @throws DocumentCorruptError where the stored text is not JSON */
  getDocument<T>(key: string): Promise<{ value: T; etag: string } | undefined>;
  /** Keys that start with `prefix`, in the order of their characters. */
  listDocuments(prefix: string): AsyncIterable<string>;
  /** Names of the folders directly below `prefix` (which ends in `/`), e.g. the run ids below `runs/`, in the order of whole keys. */
  listFolders(prefix: string): AsyncIterable<string>;
  deleteDocument(key: string): Promise<void>;
}

export interface StoreOptions {
  /** @default process.env */
  env?: NodeJS.ProcessEnv;
  folder?: FolderStoreOptions;
  s3?: S3StoreOptions;
}

/**
 * Opens the store at `s3://bucket/prefix`, `file:///absolute/folder` or a plain folder path (made if missing), and checks
 * that it answers, so that a wrong address fails before any work.
 *
 * @throws InvalidKeyError for an address of another form, StoreUnavailableError where the store can't be used
 */
export async function openStore(uri: string, options: StoreOptions = {}): Promise<ArtifactStore> {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(uri)?.[1]?.toLowerCase();
  if (scheme === 's3') {
    // Loaded on demand: the AWS SDK costs start-up time that a folder store does not need.
    const { openS3Store } = await import('./s3Store.ts');
    return openS3Store(uri, options.env ?? process.env, options.s3);
  }
  if (uri.trim() === '' || (scheme && scheme !== 'file')) {
    throw new InvalidKeyError(
      `"${uri}" is not a store address. Use s3://bucket/prefix or a folder (CADA_STORE, or "store" in the configuration).`,
    );
  }
  const { openFolderStore } = await import('./folderStore.ts');
  return openFolderStore(folderOfUri(uri), options.folder);
}

function folderOfUri(uri: string): string {
  if (!uri.startsWith('file:')) return resolve(uri);
  const path = uri.slice('file://'.length);
  if (!uri.startsWith('file://') || !isAbsolute(path)) {
    throw new InvalidKeyError(`"${uri}" is not a folder address: write file:///absolute/folder.`);
  }
  return fileURLToPath(uri);
}
