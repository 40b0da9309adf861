import { createHash, randomUUID } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { access, copyFile, link, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ArtifactRef, ArtifactStore, PutCondition, PutDocumentResult, StoredObject } from './artifactStore.ts';
import { sha256, sha256OfFile } from './digest.ts';
import { documentText, parseDocument } from './documents.ts';
import {
  ArtifactCorruptError,
  ArtifactMissingError,
  StoreFullError,
  StoreUnavailableError,
  isDiskFull,
} from './errors.ts';
import { freeBytesOf, reserveBytes } from './diskRoom.ts';
import { linked, makeFolder, renew, syncFolder, whereAbsent } from './durableFiles.ts';
import { checkDigest, checkKey, checkPrefix } from './keys.ts';
import { replaceVersion } from './replaceVersion.ts';
import { countingCalls } from './requestCount.ts';

export interface FolderStoreOptions {
  /** Free bytes on the disk of a folder. @default statfs */
  freeBytes?: (folder: string) => Promise<number>;
}

/** Leftovers of killed writers are removed after this time. */
const LEFTOVER_MS = 24 * 3600_000;

/** @throws StoreUnavailableError where the folder can't be made or written */
export async function openFolderStore(folder: string, options: FolderStoreOptions = {}): Promise<ArtifactStore> {
  const root = resolve(folder);
  try {
    await mkdir(join(root, 'objects'), { recursive: true });
    await mkdir(join(root, 'tmp'), { recursive: true });
    await access(join(root, 'tmp'), constants.W_OK);
  } catch (error) {
    throw new StoreUnavailableError(
      `the store folder ${root} can't be used (${(error as Error).message}). Choose a folder you may write to (CADA_STORE).`,
      { cause: error },
    );
  }
  await removeLeftovers(join(root, 'tmp'));
  return countingCalls(new FolderStore(root, options.freeBytes ?? freeBytesOf));
}

/**
 * The store in a folder: `objects/<sha256>`, documents at their keys, `tmp/` for what is being written. Every write goes
 * to a file in `tmp/`, is flushed to the disk and then renamed or linked into place, so it survives a power cut and is
 * never visible in part. `link()` fails where the name exists: that is the put-if-absent. The etag is the content's digest.
 */
class FolderStore implements ArtifactStore {
  readonly uri: string;
  readonly #root: string;
  readonly #freeBytes: (folder: string) => Promise<number>;

  constructor(root: string, freeBytes: (folder: string) => Promise<number>) {
    this.#root = root;
    this.#freeBytes = freeBytes;
    this.uri = pathToFileURL(root).href;
  }

  async putFile(path: string, kind: string): Promise<ArtifactRef> {
    const { size } = await stat(path);
    await this.#checkRoom(size);
    return this.#putObject(createReadStream(path, { highWaterMark: 1 << 20 }), size, kind);
  }

  async giveFile(path: string, kind: string): Promise<ArtifactRef> {
    const { sha256: digest, bytes } = await sha256OfFile(path);
    const temporary = this.#temporary();
    try {
      await link(path, temporary);
    } catch {
      // Another disk, or a file system without hard links.
      return this.putFile(path, kind);
    }
    try {
      const file = await open(temporary, 'r+');
      await file.sync().finally(() => file.close());
      const now = new Date();
      await utimes(temporary, now, now);
      return await this.#place({ temporary, digest, bytes }, kind);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async putBytes(bytes: Uint8Array | string, kind: string): Promise<ArtifactRef> {
    const buffer = Buffer.from(bytes);
    await this.#checkRoom(buffer.length);
    return this.#putObject([buffer], buffer.length, kind);
  }

  async getBytes(ref: ArtifactRef): Promise<Uint8Array> {
    const uri = this.#objectUri(ref.sha256);
    const bytes = await readFile(this.#object(ref.sha256)).catch(whereAbsent(undefined));
    if (!bytes) throw new ArtifactMissingError(uri, ref.kind);
    if (sha256(bytes) !== ref.sha256) throw corrupt(uri, ref, bytes.length, sha256(bytes));
    return bytes;
  }

  async fetchToFile(ref: ArtifactRef, path: string): Promise<void> {
    const object = this.#object(ref.sha256);
    const found = await sha256OfFile(object).catch(whereAbsent(undefined));
    if (!found) throw new ArtifactMissingError(this.#objectUri(ref.sha256), ref.kind);
    if (found.sha256 !== ref.sha256) throw corrupt(this.#objectUri(ref.sha256), ref, found.bytes, found.sha256);
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${randomUUID()}.part`;
    try {
      // Another disk, or a file system without hard links: copy (as a clone where the file system can).
      await link(object, temporary).catch(() => copyFile(object, temporary, constants.COPYFILE_FICLONE));
      await rename(temporary, path);
    } catch (error) {
      throw isDiskFull(error) ? new StoreFullError(dirname(path), ref.bytes, undefined, error) : error;
    } finally {
      // rename() leaves both names where they are links to one file already.
      await rm(temporary, { force: true });
    }
  }

  async has(ref: ArtifactRef): Promise<boolean> {
    const found = await stat(this.#object(ref.sha256)).catch(whereAbsent(undefined));
    return found !== undefined && found.size === ref.bytes;
  }

  async checkObject(ref: ArtifactRef): Promise<void> {
    const uri = this.#objectUri(ref.sha256);
    const found = await sha256OfFile(this.#object(ref.sha256)).catch(whereAbsent(undefined));
    if (!found) throw new ArtifactMissingError(uri, ref.kind);
    if (found.sha256 !== ref.sha256) throw corrupt(uri, ref, found.bytes, found.sha256);
  }

  async deleteObject(digest: string, putBefore?: Date): Promise<boolean> {
    const found = await stat(this.#object(digest)).catch(whereAbsent(undefined));
    if (!found || (putBefore && found.mtime >= putBefore)) return false;
    await rm(this.#object(digest), { force: true });
    return true;
  }

  async *listObjects(): AsyncIterable<StoredObject> {
    for (const name of (await readdir(join(this.#root, 'objects'))).sort()) {
      if (!/^[0-9a-f]{64}$/.test(name)) continue;
      const found = await stat(this.#object(name)).catch(whereAbsent(undefined));
      if (found) yield { sha256: name, bytes: found.size, putAt: found.mtime };
    }
  }

  async putDocument(key: string, value: unknown, condition: PutCondition): Promise<PutDocumentResult> {
    const target = this.#document(key);
    const text = documentText(value);
    const own = { etag: sha256(text), value: JSON.parse(text) as unknown, adopted: false };
    await this.#checkRoom(text.length);
    const { temporary } = await this.#spool([Buffer.from(text)]);
    try {
      await makeFolder(dirname(target));
      if (condition === 'replace') {
        await rename(temporary, target);
      } else if (condition === 'ifAbsent') {
        while (!(await linked(temporary, target))) {
          const winner = await this.getDocument<unknown>(key);
          if (winner) return { ...winner, adopted: true }; // else it was deleted between the two: try again
        }
      } else {
        const claim = join(this.#root, 'tmp', `claim-${sha256(`${key}\n${condition.ifMatch}`)}`);
        await replaceVersion({ uri: `${this.uri}/${key}`, target, claim }, temporary, condition.ifMatch);
      }
      await syncFolder(dirname(target));
      return own;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async getDocument<T>(key: string): Promise<{ value: T; etag: string } | undefined> {
    const bytes = await readFile(this.#document(key)).catch(whereAbsent(undefined));
    if (!bytes) return undefined;
    const etag = sha256(bytes);
    return { value: parseDocument(bytes.toString(), `${this.uri}/${key}`, etag) as T, etag };
  }

  async *listDocuments(prefix: string): AsyncIterable<string> {
    checkPrefix(prefix);
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    yield* this.#walk(folder, prefix);
  }

  async *listFolders(prefix: string): AsyncIterable<string> {
    checkPrefix(prefix);
    const entries = await readdir(join(this.#root, prefix), { withFileTypes: true }).catch(whereAbsent([]));
    const names = entries.filter((entry) => entry.isDirectory()).map((entry) => `${entry.name}/`);
    for (const name of names.sort()) yield name.slice(0, -1); // the order of whole keys, as in S3
  }

  async deleteDocument(key: string): Promise<void> {
    await rm(this.#document(key), { force: true });
  }

  #object(digest: string): string {
    return join(this.#root, 'objects', checkDigest(digest));
  }

  #objectUri(digest: string): string {
    return `${this.uri}/objects/${digest}`;
  }

  #document(key: string): string {
    return join(this.#root, checkKey(key));
  }

  async #putObject(chunks: AsyncIterable<Buffer> | Iterable<Buffer>, size: number, kind: string): Promise<ArtifactRef> {
    return this.#place(await this.#spool(chunks, size), kind);
  }

  /** Makes a finished file in `tmp/` the object of its digest, or removes it. */
  async #place(
    { temporary, digest, bytes }: { temporary: string; digest: string; bytes: number },
    kind: string,
  ): Promise<ArtifactRef> {
    try {
      const object = this.#object(digest);
      // A sound object stays (somebody may be reading it); a damaged one is replaced in one step.
      const present = await sha256OfFile(object).catch(whereAbsent(undefined));
      // Put again counts as new: the age of an object is what `cada gc` goes by.
      const renewed = present?.sha256 === digest && (await renew(object));
      if (!renewed) {
        await rename(temporary, object);
        await syncFolder(dirname(object));
      }
      return { uri: this.#objectUri(digest), sha256: digest, bytes, kind };
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** Writes and flushes a file in `tmp/`, hashing on the way. */
  async #spool(chunks: AsyncIterable<Buffer> | Iterable<Buffer>, size = 0) {
    const temporary = this.#temporary();
    const hash = createHash('sha256');
    let bytes = 0;
    try {
      const file = await open(temporary, 'wx');
      try {
        for await (const chunk of chunks) {
          hash.update(chunk);
          bytes += chunk.length;
          await file.appendFile(chunk);
        }
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      await rm(temporary, { force: true });
      throw isDiskFull(error) ? new StoreFullError(this.#root, Math.max(size, bytes), undefined, error) : error;
    }
    return { temporary, digest: hash.digest('hex'), bytes };
  }

  #temporary(): string {
    return join(this.#root, 'tmp', `${process.pid}-${randomUUID()}`);
  }

  async #checkRoom(bytes: number): Promise<void> {
    const free = await this.#freeBytes(this.#root);
    if (free < bytes + reserveBytes) throw new StoreFullError(this.#root, bytes, free);
  }

  async *#walk(folder: string, prefix: string): AsyncIterable<string> {
    const entries = await readdir(join(this.#root, folder), { withFileTypes: true }).catch(whereAbsent([]));
    const names = entries
      .filter((entry) => folder !== '' || !['objects', 'tmp'].includes(entry.name))
      .map((entry) => folder + entry.name + (entry.isDirectory() ? '/' : ''))
      .filter((name) => name.startsWith(prefix) || prefix.startsWith(name))
      .sort(); // with the slash at the end of folders, the order of whole keys
    for (const name of names) {
      if (name.endsWith('/')) yield* this.#walk(name, prefix);
      else yield name;
    }
  }
}

function corrupt(uri: string, ref: ArtifactRef, bytes: number, digest: string): ArtifactCorruptError {
  const found =
    bytes === ref.bytes
      ? `its ${bytes} bytes have the SHA-256 ${digest}`
      : `it has ${bytes} bytes instead of ${ref.bytes}`;
  return new ArtifactCorruptError(uri, ref.kind, found);
}

async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(whereAbsent(undefined));
    if (found && Date.now() - found.mtimeMs > LEFTOVER_MS) await rm(path, { force: true });
  }
}
