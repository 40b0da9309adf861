import { randomUUID } from 'node:crypto';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { PutCondition, PutDocumentResult } from './artifactStore.ts';
import { sha256 } from './digest.ts';
import { documentText, parseDocument } from './documents.ts';
import { DocumentConflictError } from './errors.ts';
import { explained, failureOf } from './s3Client.ts';
import { bodyOf, ROUNDS, whereAbsent } from './s3Requests.ts';
import type { S3Requests } from './s3Requests.ts';

/** Metadata name of the mark that each document carries. */
const WRITER = 'cada-writer';
/** A refused conditional write with a body above this size may end in a reset instead of an answer: read first. */
const READ_FIRST_BYTES = 32 * 1024;

/** The documents of a store in S3. Conditional writes use `If-None-Match: *` and `If-Match`; a write without an answer is looked up, then decided. */
export class S3Documents {
  readonly #requests: S3Requests;

  constructor(requests: S3Requests) {
    this.#requests = requests;
  }

  /** @throws DocumentConflictError where `ifMatch` does not hold */
  async put(key: string, value: unknown, condition: PutCondition): Promise<PutDocumentResult> {
    const text = documentText(value);
    const stored = JSON.parse(text) as unknown;
    if (condition === 'replace') return { etag: await this.#putText(key, text, {}), value: stored, adopted: false };
    if (condition === 'ifAbsent') return this.#putIfAbsent(key, text, stored);
    return { etag: await this.#putIfMatch(key, text, condition.ifMatch), value: stored, adopted: false };
  }

  async get<T>(key: string): Promise<{ value: T; etag: string } | undefined> {
    const found = await this.#getText(key);
    return found && { value: this.#parsed(key, found) as T, etag: found.etag };
  }

  async #putIfAbsent(key: string, text: string, stored: unknown): Promise<PutDocumentResult> {
    if (text.length > READ_FIRST_BYTES) {
      const winner = await this.get<unknown>(key);
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
          return { etag: found.etag, value: this.#parsed(key, found), adopted: found.writer !== writer };
        }
        if (round >= ROUNDS) throw error;
      }
    }
  }

  async #putIfMatch(key: string, text: string, etag: string): Promise<string> {
    const conflict = (found?: string) => new DocumentConflictError(`${this.#requests.uri}/${key}`, etag, found);
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
    const { ETag } = await this.#requests.send(
      new PutObjectCommand({
        ...this.#requests.at(key),
        ...this.#requests.place.encryption,
        ...this.#requests.checksum(sha256(text)),
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
      const response = await this.#requests.send(new GetObjectCommand(this.#requests.at(key))).catch(whereAbsent);
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
        throw explained(error, this.#requests.place);
      }
    }
  }

  #parsed(key: string, { text, etag }: { text: string; etag: string }): unknown {
    return parseDocument(text, `${this.#requests.uri}/${key}`, etag);
  }
}

/** Whether a conditional write may or may not have happened, or lost against another. */
function isUndecided(error: unknown): boolean {
  const failure = failureOf((error as Error).cause ?? error);
  return failure === 'precondition' || failure === 'transient';
}
