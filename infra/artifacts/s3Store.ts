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
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { ArtifactRef, ArtifactStore, PutCondition, PutDocumentResult, StoredObject } from './artifactStore.ts';
import { sha256, sha256OfFile } from './digest.ts';
import { ArtifactCorruptError, ArtifactMissingError, StoreFullError, isDiskFull } from './errors.ts';
import { checkDigest, checkKey, checkPrefix } from './keys.ts';
import { explained, failureOf, s3Place, wasDamagedOnTheWay } from './s3Client.ts';
import type { S3Place, S3StoreOptions } from './s3Client.ts';
import { S3Documents } from './s3Documents.ts';
import { bodyOf, ROUNDS, S3Requests, whereAbsent } from './s3Requests.ts';

export type { S3StoreOptions };

const MIB = 1024 * 1024;
/** S3's own limit on the parts of one object. */
const MAX_PARTS = 10_000;

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
 * out.
 */
class S3Store implements ArtifactStore {
  readonly uri: string;
  readonly #requests: S3Requests;
  readonly #documents: S3Documents;
  readonly #multipartBytes: number;
  readonly #partBytes: number;

  constructor(place: S3Place, options: S3StoreOptions) {
    this.#requests = new S3Requests(place, options.pageSize);
    this.#documents = new S3Documents(this.#requests);
    this.#multipartBytes = options.multipartBytes ?? 64 * MIB;
    this.#partBytes = Math.max(5 * MIB, options.partBytes ?? 16 * MIB);
    this.uri = this.#requests.uri;
  }

  /** One small listing: proves endpoint, bucket and credentials. */
  async check(): Promise<void> {
    await this.#requests.send(
      new ListObjectsV2Command({
        Bucket: this.#requests.place.bucket,
        Prefix: this.#requests.key('runs/'),
        MaxKeys: 1,
      }),
    );
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
          ...this.#requests.place.encryption,
          ...this.#requests.checksum(digest),
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
    const head = await this.#requests.send(new HeadObjectCommand(this.#object(ref.sha256))).catch(whereAbsent);
    return head !== undefined && head.ContentLength === ref.bytes;
  }

  async checkObject(ref: ArtifactRef): Promise<void> {
    await this.#read(ref, async (body) => {
      for await (const chunk of body) void chunk; // the digest is taken on the way
    });
  }

  async deleteObject(digest: string, putBefore?: Date): Promise<boolean> {
    const head = await this.#requests.send(new HeadObjectCommand(this.#object(digest))).catch(whereAbsent);
    if (!head || (putBefore && !(head.LastModified && head.LastModified < putBefore))) return false;
    await this.#requests.send(new DeleteObjectCommand(this.#object(digest)));
    return true;
  }

  async *listObjects(): AsyncIterable<StoredObject> {
    for await (const page of this.#requests.pages('objects/')) {
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        const name = Key?.slice(this.#requests.key('objects/').length) ?? '';
        if (/^[0-9a-f]{64}$/.test(name)) yield { sha256: name, bytes: Size ?? 0, putAt: LastModified ?? new Date() };
      }
    }
  }

  async putDocument(key: string, value: unknown, condition: PutCondition): Promise<PutDocumentResult> {
    return this.#documents.put(checkKey(key), value, condition);
  }

  async getDocument<T>(key: string): Promise<{ value: T; etag: string } | undefined> {
    return this.#documents.get<T>(checkKey(key));
  }

  async *listDocuments(prefix: string): AsyncIterable<string> {
    for await (const page of this.#requests.pages(checkPrefix(prefix))) {
      for (const { Key } of page.Contents ?? []) if (Key) yield Key.slice(this.#requests.key('').length);
    }
  }

  async *listFolders(prefix: string): AsyncIterable<string> {
    for await (const page of this.#requests.pages(checkPrefix(prefix), '/')) {
      for (const { Prefix } of page.CommonPrefixes ?? []) {
        if (Prefix) yield Prefix.slice(this.#requests.key(prefix).length, -1);
      }
    }
  }

  async deleteDocument(key: string): Promise<void> {
    await this.#requests.send(new DeleteObjectCommand(this.#requests.at(checkKey(key))));
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
      client: this.#requests.place.client,
      params: { ...this.#object(expected.sha256), ...this.#requests.place.encryption, Body: file.pipe(verified) },
      partSize: Math.max(this.#partBytes, Math.ceil(expected.bytes / MAX_PARTS)),
      queueSize: 4,
    });
    try {
      await upload.done();
    } catch (error) {
      throw explained(error, this.#requests.place);
    } finally {
      file.destroy();
    }
  }

  /** Streams an object to `consume`, again where the stream breaks; bytes that differ twice are rot, not the network. */
  async #read(ref: ArtifactRef, consume: (body: Readable) => Promise<void>): Promise<void> {
    const uri = this.#objectUri(ref.sha256);
    for (let round = 1; ; round++) {
      const response = await this.#requests.send(new GetObjectCommand(this.#object(ref.sha256))).catch(whereAbsent);
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
        throw explained(error, this.#requests.place);
      }
      const digest = hash.digest('hex');
      if (digest === ref.sha256) return;
      if (round > 1) throw new ArtifactCorruptError(uri, ref.kind, `its ${ref.bytes} bytes have the SHA-256 ${digest}`);
    }
  }

  /** Sends it again where the server got other bytes: the SDK takes its answer for a refusal. */
  async #sendWhole(command: () => PutObjectCommand): Promise<void> {
    for (let round = 1; ; round++) {
      try {
        await this.#requests.send(command());
        return;
      } catch (error) {
        if (round === ROUNDS || !wasDamagedOnTheWay((error as Error).cause)) throw error;
      }
    }
  }

  #object(digest: string): { Bucket: string; Key: string } {
    return this.#requests.at(`objects/${checkDigest(digest)}`);
  }

  #objectUri(digest: string): string {
    return `${this.uri}/objects/${digest}`;
  }
}
