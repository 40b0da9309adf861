import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  ArtifactCorruptError,
  DocumentConflictError,
  InvalidKeyError,
  StoreUnavailableError,
  openStore,
} from '../../../infra/artifacts/artifactStore.ts';
import type { ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import { s3Place } from '../../../infra/artifacts/s3Client.ts';
import { startFaultyProxy } from '../../servers/faultyProxy.ts';
import type { FaultyProxy } from '../../servers/faultyProxy.ts';
import { findS3Server, startS3Server } from '../../servers/s3Server.ts';
import type { S3Server } from '../../servers/s3Server.ts';

const choice = await findS3Server();
if ('missing' in choice) console.warn(`skipped: the S3 store: ${choice.missing}`);
else if (choice.kind === 'external') console.warn('skipped: a killed S3 server: the given one is not ours to kill');

describe.skipIf('missing' in choice)('S3 store on a network that fails', () => {
  let server: S3Server;
  let proxy: FaultyProxy;
  let store: ArtifactStore;
  let folder: string;
  let bucket: string;
  const open = (address: string, endpoint: string, maxAttempts = 4) =>
    openStore(address, {
      env: { ...server.env, AWS_ENDPOINT_URL_S3: endpoint },
      s3: { maxAttempts, multipartBytes: 6e6, client: { credentials: server.credentials } },
    });

  beforeAll(async () => {
    if ('missing' in choice) return;
    server = await startS3Server(choice);
    proxy = await startFaultyProxy(server.endpoint);
    folder = await mkdtemp(join(tmpdir(), 'cada-s3-store-'));
    bucket = await server.makeBucket();
    store = await open(`s3://${bucket}`, proxy.endpoint);
  });
  beforeEach(() => {
    if (proxy) proxy.onRequest = () => 'none';
  });
  afterAll(async () => {
    await proxy?.stop();
    await server?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** Applies faults to the first requests of a method, one each, and counts all of them. */
  function failFirst(method: string, faults: ReturnType<FaultyProxy['onRequest']>[]): { count: number } {
    const seen = { count: 0 };
    proxy.onRequest = (request) => (request.method === method ? (faults[seen.count++] ?? 'none') : 'none');
    return seen;
  }

  test('a conditional write whose answer was lost is recognised as our own', async () => {
    const seen = failFirst('PUT', ['dropAnswer']);
    const put = await store.putDocument('steps/lost.json', { by: 'us' }, 'ifAbsent');
    expect(put).toMatchObject({ value: { by: 'us' }, adopted: false });
    expect(seen.count).toBe(2);
    expect((await store.getDocument('steps/lost.json'))?.etag).toBe(put.etag);

    failFirst('PUT', ['dropAnswer']);
    const replaced = await store.putDocument('steps/lost.json', { by: 'us again' }, { ifMatch: put.etag });
    expect(await store.getDocument('steps/lost.json')).toEqual({ value: { by: 'us again' }, etag: replaced.etag });
  });

  test("another writer's document of the same content is not taken for our own", async () => {
    const first = await store.putDocument('steps/same.json', { n: 1 }, 'ifAbsent');
    expect((await store.putDocument('steps/same.json', { n: 1 }, 'ifAbsent')).adopted).toBe(true);
    await store.putDocument('steps/same.json', { n: 2 }, { ifMatch: first.etag });
    await expect(store.putDocument('steps/same.json', { n: 2 }, { ifMatch: first.etag })).rejects.toThrow(
      DocumentConflictError,
    );
  });

  test('errors of the server are retried', async () => {
    const seen = failFirst('PUT', [{ status: 503 }, { status: 500 }]);
    const ref = await store.putBytes('patience', 'note');
    expect(seen.count).toBe(3);
    const reads = failFirst('GET', [{ status: 500 }]);
    expect(Buffer.from(await store.getBytes(ref)).toString()).toBe('patience');
    expect(reads.count).toBe(2);
  });

  test('a read that breaks off begins again, and leaves no part of a file', async () => {
    const bytes = randomBytes(3_000_000);
    const ref = await store.putBytes(bytes, 'noise');
    const seen = failFirst('GET', [{ cutAfterBytes: 1_000_000 }, { cutAfterBytes: 100_000 }]);
    expect(Buffer.compare(await store.getBytes(ref), bytes)).toBe(0);
    expect(seen.count).toBe(3);
    failFirst('GET', [{ cutAfterBytes: 1_000_000 }]);
    await store.fetchToFile(ref, join(folder, 'whole'));
    expect(Buffer.compare(await readFile(join(folder, 'whole')), bytes)).toBe(0);
    proxy.onRequest = ({ method }) => (method === 'GET' ? { cutAfterBytes: 1_000 } : 'none');
    await expect(store.fetchToFile(ref, join(folder, 'never'))).rejects.toThrow(StoreUnavailableError);
    expect((await readdir(folder)).filter((name) => name.startsWith('never'))).toEqual([]);
  });

  test('wrong bytes once are the network, wrong bytes always are rot', async () => {
    const ref = await store.putBytes('exactly these bytes', 'note');
    failFirst('GET', ['flipBit']);
    expect(Buffer.from(await store.getBytes(ref)).toString()).toBe('exactly these bytes');
    proxy.onRequest = ({ method }) => (method === 'GET' ? 'flipBit' : 'none');
    await expect(store.getBytes(ref)).rejects.toThrow(ArtifactCorruptError);
  });

  test('an upload that comes to the server with wrong bytes is sent again', async () => {
    const seen = failFirst('PUT', ['flipSentBit', 'flipSentBit']);
    const ref = await store.putBytes('to be sent as they are', 'note');
    expect(seen.count).toBe(3);
    expect(Buffer.from(await store.getBytes(ref)).toString()).toBe('to be sent as they are');
    failFirst('PUT', ['flipSentBit']);
    expect(await store.putDocument('steps/damaged.json', { by: 'us' }, 'ifAbsent')).toMatchObject({ adopted: false });
    proxy.onRequest = ({ method }) => (method === 'PUT' ? 'flipSentBit' : 'none');
    const never = await store.putBytes('never', 'note').catch((error: unknown) => error);
    expect(never).toBeInstanceOf(StoreUnavailableError);
    expect(never).toMatchObject({ transient: true });
  });

  test.each([
    [507, 'InsufficientStorage'],
    [400, 'XMinioAdminBucketQuotaExceeded'],
    [403, 'QuotaExceeded'],
  ])('a server that has no room (%d %s) is said to be full, and may have some later', async (status, code) => {
    failFirst('PUT', Array<{ status: number; code: string }>(4).fill({ status, code }));
    const full = await store.putBytes(`too much ${code}`, 'note').catch((error: unknown) => error);
    expect(full).toBeInstanceOf(StoreUnavailableError);
    expect(full).toMatchObject({
      transient: true,
      message: expect.stringMatching(
        new RegExp(`bucket "${bucket}", has no room left \\(${code}: by the proxy\\). Make room`),
      ) as string,
    });
    proxy.onRequest = () => 'none';
    const ref = await store.putBytes(`too much ${code}`, 'note');
    expect(await store.has(ref)).toBe(true);
  });

  test('parts that fail are sent again', async () => {
    const source = join(folder, 'parts.bin');
    const bytes = randomBytes(21_000_000);
    await writeFile(source, bytes);
    const seen = failFirst('PUT', [{ status: 503 }, 'dropAnswer']);
    const ref = await store.putFile(source, 'noise');
    expect(seen.count).toBeGreaterThanOrEqual(4); // two parts, two of them twice
    expect(Buffer.compare(await store.getBytes(ref), bytes)).toBe(0);
  });

  test('a store that is not there, or not for us, is one clear error', async () => {
    await expect(open('s3://some-bucket/p', 'http://127.0.0.1:9', 2)).rejects.toThrow(
      /http:\/\/127\.0\.0\.1:9, bucket "some-bucket", does not answer \(ECONNREFUSED.*Check that the server runs/s,
    );
    await expect(open('s3://no-such-bucket-here', server.endpoint)).rejects.toThrow(
      /bucket "no-such-bucket-here", refuses the request \(NoSuchBucket.*Make the bucket, or correct CADA_STORE/s,
    );
    const stranger = openStore(`s3://${bucket}`, {
      env: server.env,
      s3: { client: { credentials: { accessKeyId: server.credentials.accessKeyId, secretAccessKey: 'wrong' } } },
    });
    await expect(stranger).rejects.toThrow(/refuses the request \(SignatureDoesNotMatch.*Check the credentials/s);
  });

  test.skipIf('missing' in choice || choice.kind === 'external')(
    'a server killed and started again still has what it acknowledged',
    async () => {
      const ref = await store.putBytes('acknowledged', 'note');
      await store.putDocument('steps/acknowledged.json', { ref }, 'ifAbsent');
      await server.kill();
      const waiting = store.getBytes(ref).catch((error: unknown) => error);
      await server.restart();
      const during = await waiting;
      if (!(during instanceof Uint8Array)) expect(during).toBeInstanceOf(StoreUnavailableError);
      expect(Buffer.from(await store.getBytes(ref)).toString()).toBe('acknowledged');
      expect((await store.getDocument('steps/acknowledged.json'))?.value).toEqual({ ref });
    },
  );
});

describe('S3 settings', () => {
  test('come from the environment', async () => {
    const env = {
      AWS_ENDPOINT_URL_S3: 'http://storage.example:9000',
      AWS_REGION: 'eu-central-1',
      CADA_S3_PATH_STYLE: 'false',
      CADA_S3_SSE: 'aws:kms',
      CADA_S3_SSE_KMS_KEY_ID: 'key-1',
    };
    const place = s3Place('s3://bucket/a/b/', env, {});
    expect(place).toMatchObject({
      bucket: 'bucket',
      prefix: 'a/b',
      endpoint: 'http://storage.example:9000',
      encryption: { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'key-1' },
      checksums: true,
    });
    expect(await place.client.config.region()).toBe('eu-central-1');
    expect(place.client.config.forcePathStyle).toBe(false);
    expect(s3Place('s3://bucket', { ...env, CADA_S3_PATH_STYLE: '' }, {}).client.config.forcePathStyle).toBe(true);
    const plain = s3Place('s3://bucket', { AWS_REGION: 'eu-west-1', CADA_S3_CHECKSUM: 'none' }, {});
    expect(plain).toMatchObject({ prefix: '', encryption: {}, checksums: false });
    expect(await plain.client.config.requestChecksumCalculation()).toBe('WHEN_REQUIRED');
  });

  test('that make no sense are refused by name', () => {
    expect(() => s3Place('s3://bucket', { CADA_S3_SSE: 'none' }, {})).toThrow(/CADA_S3_SSE=none.*AES256/);
    expect(() => s3Place('s3://bucket', { CADA_S3_SSE_KMS_KEY_ID: 'k' }, {})).toThrow(/needs CADA_S3_SSE=aws:kms/);
    expect(() => s3Place('s3://bucket', { CADA_S3_PATH_STYLE: 'yes' }, {})).toThrow(InvalidKeyError);
    expect(() => s3Place('s3://bucket/a//b', {}, {})).toThrow(InvalidKeyError);
  });
});
