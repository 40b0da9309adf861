import type { Readable } from 'node:stream';
import { paginateListObjectsV2 } from '@aws-sdk/client-s3';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { explained, failureOf } from './s3Client.ts';
import type { S3Place } from './s3Client.ts';

/** Reads whose stream breaks, writes whose bytes were damaged, and rounds of a conditional write without an answer. */
export const ROUNDS = 3;

/** Requests to the place of a store: names under its prefix, errors for people. */
export class S3Requests {
  readonly place: S3Place;
  /** `s3://bucket/prefix` */
  readonly uri: string;
  readonly #pageSize: number;

  constructor(place: S3Place, pageSize = 1000) {
    this.place = place;
    this.uri = `s3://${[place.bucket, place.prefix].filter(Boolean).join('/')}`;
    this.#pageSize = pageSize;
  }

  /** Sends a command; what is not an answer comes out as an error for people, with the SDK's one as its cause. */
  readonly send = (async (command: Parameters<S3Place['client']['send']>[0]) => {
    try {
      return await this.place.client.send(command);
    } catch (error) {
      throw explained(error, this.place);
    }
  }) as unknown as S3Place['client']['send'];

  async *pages(prefix: string, delimiter?: string) {
    const { client, bucket } = this.place;
    const what = { Bucket: bucket, Prefix: this.key(prefix), ...(delimiter ? { Delimiter: delimiter } : {}) };
    try {
      yield* paginateListObjectsV2({ client, pageSize: this.#pageSize }, what);
    } catch (error) {
      throw explained(error, this.place);
    }
  }

  key(key: string): string {
    return this.place.prefix === '' ? key : `${this.place.prefix}/${key}`;
  }

  at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.place.bucket, Key: this.key(key) };
  }

  checksum(digest: string): { ChecksumSHA256?: string } {
    return this.place.checksums ? { ChecksumSHA256: Buffer.from(digest, 'hex').toString('base64') } : {};
  }
}

export function bodyOf(response: GetObjectCommandOutput): Readable {
  return response.Body as Readable;
}

export function whereAbsent(error: unknown): undefined {
  if (failureOf(error) !== 'absent') throw error;
}
