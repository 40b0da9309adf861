import prettyBytes from 'pretty-bytes';

/** What can go wrong with an artifact store, one class a cause. Each message names the thing, the place and the remedy. */

/** The object a reference points to is not in the store. */
export class ArtifactMissingError extends Error {
  override readonly name = 'ArtifactMissingError';
  readonly uri: string;
  constructor(uri: string, kind: string) {
    super(
      `artifact ${uri} (${kind}) is not in the store. Start the run again with the same configuration: ` +
        'the stage that made it is recomputed. If the store was moved or cleaned, point CADA_STORE at the right one.',
    );
    this.uri = uri;
  }
}

/** The stored bytes are not the ones the reference names. */
export class ArtifactCorruptError extends Error {
  override readonly name = 'ArtifactCorruptError';
  readonly uri: string;
  constructor(uri: string, kind: string, found: string) {
    super(
      `artifact ${uri} (${kind}) is corrupt: ${found}. Start the run again with the same configuration: the damaged ` +
        'object counts as absent and the stage that made it is recomputed. If it happens again, check the disk.',
    );
    this.uri = uri;
  }
}

/** A stored JSON document can't be parsed. `etag` allows its replacement by `ifMatch`. */
export class DocumentCorruptError extends Error {
  override readonly name = 'DocumentCorruptError';
  readonly uri: string;
  readonly etag: string;
  constructor(uri: string, etag: string, reason: string) {
    super(`document ${uri} is not valid JSON (${reason}). Delete it, or restore it from a copy of the store.`);
    this.uri = uri;
    this.etag = etag;
  }
}

/** Somebody else changed the document since it was read. */
export class DocumentConflictError extends Error {
  override readonly name = 'DocumentConflictError';
  readonly uri: string;
  constructor(uri: string, expected: string, found: string | undefined) {
    super(
      `document ${uri} changed meanwhile: expected version ${expected}, found ${found ?? 'none'}. Read it again and repeat the change.`,
    );
    this.uri = uri;
  }
}

/** A document key or a store address that is not allowed. */
export class InvalidKeyError extends Error {
  override readonly name = 'InvalidKeyError';
}

/** Not enough room on a disk for what is to be written there. */
export class StoreFullError extends Error {
  override readonly name = 'StoreFullError';
  readonly folder: string;
  readonly bytes: number;
  /** @param free bytes left there, where known */
  constructor(folder: string, bytes: number, free?: number, cause?: unknown) {
    super(
      `no room on the disk of ${folder}: ${bytes} bytes (${prettyBytes(bytes)}) are to be written` +
        `${free === undefined ? '' : `, ${prettyBytes(Math.max(0, free))} are free`}. Free some room there, or choose ` +
        'another place (CADA_STORE, CADA_HOME, CADA_CACHE). Finished work is kept: the run goes on from it.',
      { cause },
    );
    this.folder = folder;
    this.bytes = bytes;
  }
}

export function isDiskFull(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** The store does not answer, or refuses us: wrong endpoint, missing bucket, missing rights or credentials. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
  /** It did not answer, or only with errors of its own: a later try may succeed. */
  readonly transient: boolean;
  constructor(message: string, options: ErrorOptions & { transient?: boolean } = {}) {
    super(message, options);
    this.transient = options.transient ?? false;
  }
}
