import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  paginateListObjectsV2,
} from '@aws-sdk/client-s3';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { ArtifactRef, ArtifactStore, PutCondition, PutDocumentResult, StoredObject } from './artifactStore.ts';
import { sha256, sha256OfFile } from './digest.ts';
import { documentText, parseDocument } from './documents.ts';
import {
  ArtifactCorruptError,
  ArtifactMissingError,
  DocumentConflictError,
  StoreFullError,
  isDiskFull,
} from './errors.ts';
import { checkDigest, checkKey, checkPrefix } from './keys.ts';
import { explained, failureOf, s3Place, wasDamagedOnTheWay } from './s3Client.ts';
import type { S3Place, S3StoreOptions } from './s3Client.ts';

export type { S3StoreOptions };

/** Metadata name of the mark that each document carries. */
const WRITER = 'cada-writer';
const MIB = 1024 * 1024;
/** S3's own limit on the parts of one object. */
const MAX_PARTS = 10_000;
/** Reads of an object whose stream breaks, and rounds of a conditional write without an answer. */
const ROUNDS = 3;
/** A refused conditional write with a body above this size may end in a reset instead of an answer: read first. */
const READ_FIRST_BYTES = 32 * 1024;

/** @throws InvalidKeyError, StoreUnavailableError */
export async function openS3Store(
  uri: string,
  env: NodeJS.ProcessEnv,
  options: S3StoreOptions = {},
): Promise<ArtifactStore> {
  const place = s3Place(uri, env, options);
  const store = new S3Store(place, options);
  await store.check();
  return store;
}

/**
 * The store in S3: `<prefix>/objects/<sha256>`, documents at `<prefix>/<key>`. A PUT (also one of many parts, at its
 * completion) makes the whole object visible at once. The server checks our SHA-256 on the way in, we check it on the way
 * out. Conditional writes use `If-None-Match: *` and `If-Match`; a write without an answer is looked up, then decided.
 */
class S3Store implements ArtifactStore {
  readonly uri: string;
  readonly #place: S3Place;
  readonly #multipartBytes: number;
  readonly #partBytes: number;
  readonly #pageSize: number;

  constructor(place: S3Place, options: S3StoreOptions) {
    this.#place = place;
    this.#multipartBytes = options.multipartBytes ?? 64 * MIB;
    this.#partBytes = Math.max(5 * MIB, options.partBytes ?? 16 * MIB);
    this.#pageSize = options.pageSize ?? 1000;
    this.uri = `s3://${[place.bucket, place.prefix].filter(Boolean).join('/')}`;
  }

  /** One small listing: proves endpoint, bucket and credentials. */
  async check(): Promise<void> {
    await this.#send(new ListObjectsV2Command({ Bucket: this.#place.bucket, Prefix: this.#key('runs/'), MaxKeys: 1 }));
  }

  async putFile(path: string, kind: string): Promise<ArtifactRef> {
    const { size } = await stat(path);
    if (size < this.#multipartBytes) return this.putBytes(await readFile(path), kind);
    const found = await sha256OfFile(path);
    await this.#putInParts(path, found);
    return { uri: this.#objectUri(found.sha256), ...found, kind };
  }

  giveFile(path: string, kind: string): Promise<ArtifactRef> {
    return this.putFile(path, kind);
  }

  async putBytes(bytes: Uint8Array | string, kind: string): Promise<ArtifactRef> {
    const body = Buffer.from(bytes);
    const digest = sha256(body);
    await this.#sendWhole(
      () =>
        new PutObjectCommand({
          ...this.#object(digest),
          ...this.#place.encryption,
          ...this.#checksum(digest),
          Body: body,
        }),
    );
    return { uri: this.#objectUri(digest), sha256: digest, bytes: body.length, kind };
  }

  async getBytes(ref: ArtifactRef): Promise<Uint8Array> {
    const chunks: Buffer[] = [];
    await this.#read(ref, async (body) => {
      chunks.length = 0;
      for await (const chunk of body) chunks.push(chunk as Buffer);
    });
    return Buffer.concat(chunks);
  }

  async fetchToFile(ref: ArtifactRef, path: string): Promise<void> {
    const present = await stat(path).catch(() => undefined);
    if (present?.size === ref.bytes && (await sha256OfFile(path)).sha256 === ref.sha256) return;
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.${randomUUID()}.part`;
    try {
      await this.#read(ref, (body) => pipeline(body, createWriteStream(temporary, { flush: true })));
      await rename(temporary, path);
    } catch (error) {
      throw isDiskFull(error) ? new StoreFullError(dirname(path), ref.bytes, undefined, error) : error;
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async has(ref: ArtifactRef): Promise<boolean> {
    const head = await this.#send(new HeadObjectCommand(this.#object(ref.sha256))).catch(whereAbsent);
    return head !== undefined && head.ContentLength === ref.bytes;
  }

  async checkObject(ref: ArtifactRef): Promise<void> {
    await this.#read(ref, async (body) => {
      for await (const chunk of body) void chunk; // the digest is taken on the way
    });
  }

  async deleteObject(digest: string, putBefore?: Date): Promise<boolean> {
    const head = await this.#send(new HeadObjectCommand(this.#object(digest))).catch(whereAbsent);
    if (!head || (putBefore && !(head.LastModified && head.LastModified < putBefore))) return false;
    await this.#send(new DeleteObjectCommand(this.#object(digest)));
    return true;
  }

  async *listObjects(): AsyncIterable<StoredObject> {
    for await (const page of this.#pages('objects/')) {
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        const name = Key?.slice(this.#key('objects/').length) ?? '';
        if (/^[0-9a-f]{64}$/.test(name)) yield { sha256: name, bytes: Size ?? 0, putAt: LastModified ?? new Date() };
      }
    }
  }

  async putDocument(key: string, value: unknown, condition: PutCondition): Promise<PutDocumentResult> {
    checkKey(key);
    const text = documentText(value);
    const stored = JSON.parse(text) as unknown;
    if (condition === 'replace') return { etag: await this.#putText(key, text, {}), value: stored, adopted: false };
    if (condition === 'ifAbsent') return this.#putIfAbsent(key, text, stored);
    return { etag: await this.#putIfMatch(key, text, condition.ifMatch), value: stored, adopted: false };
  }

  async getDocument<T>(key: string): Promise<{ value: T; etag: string } | undefined> {
    const found = await this.#getText(checkKey(key));
    return found && { value: parseDocument(found.text, `${this.uri}/${key}`, found.etag) as T, etag: found.etag };
  }

  async *listDocuments(prefix: string): AsyncIterable<string> {
    for await (const page of this.#pages(checkPrefix(prefix))) {
      for (const { Key } of page.Contents ?? []) if (Key) yield Key.slice(this.#key('').length);
    }
  }

  async *listFolders(prefix: string): AsyncIterable<string> {
    for await (const page of this.#pages(checkPrefix(prefix), '/')) {
      for (const { Prefix } of page.CommonPrefixes ?? []) {
        if (Prefix) yield Prefix.slice(this.#key(prefix).length, -1);
      }
    }
  }

  async deleteDocument(key: string): Promise<void> {
    await this.#send(new DeleteObjectCommand(this.#at(checkKey(key))));
  }

  /** Parts are buffered and retried singly; a file that changes under way is noticed before the object is completed. */
  async #putInParts(path: string, expected: { sha256: string; bytes: number }): Promise<void> {
    const hash = createHash('sha256');
    const verified = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        done(null, chunk);
      },
      flush(done) {
        done(hash.digest('hex') === expected.sha256 ? null : new Error(`${path} changed while it was uploaded`));
      },
    });
    const file = createReadStream(path, { highWaterMark: MIB });
    file.on('error', (error) => verified.destroy(error));
    const upload = new Upload({
      client: this.#place.client,
      params: { ...this.#object(expected.sha256), ...this.#place.encryption, Body: file.pipe(verified) },
      partSize: Math.max(this.#partBytes, Math.ceil(expected.bytes / MAX_PARTS)),
      queueSize: 4,
    });
    try {
      await upload.done();
    } catch (error) {
      throw explained(error, this.#place);
    } finally {
      file.destroy();
    }
  }

  /** Streams an object to `consume`, again where the stream breaks; bytes that differ twice are rot, not the network. */
  async #read(ref: ArtifactRef, consume: (body: Readable) => Promise<void>): Promise<void> {
    const uri = this.#objectUri(ref.sha256);
    for (let round = 1; ; round++) {
      const response = await this.#send(new GetObjectCommand(this.#object(ref.sha256))).catch(whereAbsent);
      if (!response) throw new ArtifactMissingError(uri, ref.kind);
      const length = response.ContentLength;
      if (length !== undefined && length !== ref.bytes) {
        bodyOf(response).destroy();
        throw new ArtifactCorruptError(uri, ref.kind, `it has ${length} bytes instead of ${ref.bytes}`);
      }
      const hash = createHash('sha256');
      const body = bodyOf(response);
      try {
        await consume(
          Readable.from(
            (async function* () {
              for await (const chunk of body) {
                hash.update(chunk as Buffer);
                yield chunk as Buffer;
              }
            })(),
          ),
        );
      } catch (error) {
        const mismatch = /checksum mismatch/i.test(String(error));
        if (round < ROUNDS && (mismatch || failureOf(error) === 'transient')) continue;
        if (mismatch) throw new ArtifactCorruptError(uri, ref.kind, `the server's own checksum does not hold`);
        throw explained(error, this.#place);
      }
      const digest = hash.digest('hex');
      if (digest === ref.sha256) return;
      if (round > 1) throw new ArtifactCorruptError(uri, ref.kind, `its ${ref.bytes} bytes have the SHA-256 ${digest}`);
    }
  }

  async #putIfAbsent(key: string, text: string, stored: unknown): Promise<PutDocumentResult> {
    if (text.length > READ_FIRST_BYTES) {
      const winner = await this.getDocument<unknown>(key);
      if (winner) return { ...winner, adopted: true };
    }
    const writer = randomUUID();
    for (let round = 1; ; round++) {
      try {
        const etag = await this.#putText(key, text, { IfNoneMatch: '*' }, writer);
        return { etag, value: stored, adopted: false };
      } catch (error) {
        if (!isUndecided(error)) throw error;
        const found = await this.#getText(key);
        if (found) {
          const value = parseDocument(found.text, `${this.uri}/${key}`, found.etag);
          return { etag: found.etag, value, adopted: found.writer !== writer };
        }
        if (round >= ROUNDS) throw error;
      }
    }
  }

  async #putIfMatch(key: string, text: string, etag: string): Promise<string> {
    const conflict = (found?: string) => new DocumentConflictError(`${this.uri}/${key}`, etag, found);
    if (text.length > READ_FIRST_BYTES) {
      const before = await this.#getText(key);
      if (before?.etag !== etag) throw conflict(before?.etag);
    }
    const writer = randomUUID();
    for (let round = 1; ; round++) {
      try {
        return await this.#putText(key, text, { IfMatch: etag }, writer);
      } catch (error) {
        if (!isUndecided(error) && failureOf(error) !== 'absent') throw error;
        const now = await this.#getText(key);
        if (now?.writer === writer) return now.etag;
        if (now?.etag !== etag) throw conflict(now?.etag);
        if (round >= ROUNDS) throw error;
      }
    }
  }

  /**
   * Writes a document, marked with its writer: when our own write succeeded without an answer and its repetition then
   * fails the condition, the mark tells it from another writer's document, even one of the same content.
   */
  async #putText(
    key: string,
    text: string,
    condition: { IfMatch?: string; IfNoneMatch?: string },
    writer: string = randomUUID(),
  ): Promise<string> {
    const { ETag } = await this.#send(
      new PutObjectCommand({
        ...this.#at(key),
        ...this.#place.encryption,
        ...this.#checksum(sha256(text)),
        ...condition,
        Body: Buffer.from(text),
        ContentType: 'application/json',
        Metadata: { [WRITER]: writer },
      }),
    );
    return ETag ?? '';
  }

  async #getText(key: string): Promise<{ text: string; etag: string; writer?: string } | undefined> {
    for (let round = 1; ; round++) {
      const response = await this.#send(new GetObjectCommand(this.#at(key))).catch(whereAbsent);
      if (!response) return undefined;
      const writer = response.Metadata?.[WRITER];
      const version = { etag: response.ETag ?? '', ...(writer ? { writer } : {}) };
      try {
        const chunks: Buffer[] = [];
        for await (const chunk of bodyOf(response)) chunks.push(chunk as Buffer);
        return { text: Buffer.concat(chunks).toString(), ...version };
      } catch (error) {
        const mismatch = /checksum mismatch/i.test(String(error));
        if (round < ROUNDS && (mismatch || failureOf(error) === 'transient')) continue;
        if (mismatch) return { text: '', ...version }; // rotten: no JSON
        throw explained(error, this.#place);
      }
    }
  }

  async *#pages(prefix: string, delimiter?: string) {
    const { client, bucket } = this.#place;
    const what = { Bucket: bucket, Prefix: this.#key(prefix), ...(delimiter ? { Delimiter: delimiter } : {}) };
    try {
      yield* paginateListObjectsV2({ client, pageSize: this.#pageSize }, what);
    } catch (error) {
      throw explained(error, this.#place);
    }
  }

  /** Sends a command; what is not an answer comes out as an error for people, with the SDK's one as its cause. */
  readonly #send = (async (command: Parameters<S3Place['client']['send']>[0]) => {
    try {
      return await this.#place.client.send(command);
    } catch (error) {
      throw explained(error, this.#place);
    }
  }) as unknown as S3Place['client']['send'];

  /** Sends it again where the server got other bytes: the SDK takes its answer for a refusal. */
  async #sendWhole(command: () => PutObjectCommand): Promise<void> {
    for (let round = 1; ; round++) {
      try {
        await this.#send(command());
        return;
      } catch (error) {
        if (round === ROUNDS || !wasDamagedOnTheWay((error as Error).cause)) throw error;
      }
    }
  }

  #key(key: string): string {
    return this.#place.prefix === '' ? key : `${this.#place.prefix}/${key}`;
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#place.bucket, Key: this.#key(key) };
  }

  #object(digest: string): { Bucket: string; Key: string } {
    return this.#at(`objects/${checkDigest(digest)}`);
  }

  #objectUri(digest: string): string {
    return `${this.uri}/objects/${digest}`;
  }

  #checksum(digest: string): { ChecksumSHA256?: string } {
    return this.#place.checksums ? { ChecksumSHA256: Buffer.from(digest, 'hex').toString('base64') } : {};
  }
}

function bodyOf(response: GetObjectCommandOutput): Readable {
  return response.Body as Readable;
}

/** Whether a conditional write may or may not have happened, or lost against another. */
function isUndecided(error: unknown): boolean {
  const failure = failureOf((error as Error).cause ?? error);
  return failure === 'precondition' || failure === 'transient';
}

function whereAbsent(error: unknown): undefined {
  if (failureOf(error) !== 'absent') throw error;
}
