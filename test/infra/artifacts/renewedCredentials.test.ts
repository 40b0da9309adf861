/** Keys that are exchanged while a process runs, on a real server that takes the new ones only. */
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { StoreUnavailableError, openStore } from '../../../infra/artifacts/artifactStore.ts';
import { findS3Server, startS3Server } from '../../servers/s3Server.ts';
import type { S3Server } from '../../servers/s3Server.ts';

const choice = await findS3Server();
const missing =
  'missing' in choice ? choice.missing : choice.kind === 'external' ? 'the server is not ours' : undefined;
if (missing) console.warn(`skipped: exchanged S3 credentials: ${missing}`);

type Keys = S3Server['credentials'];
const keys = (name: string): Keys => ({ accessKeyId: `user-${name}`, secretAccessKey: `secret-of-${name}` });

describe.skipIf(missing)('S3 credentials that are exchanged in mid-run', () => {
  let server: S3Server;
  let folder: string;
  let store: string;
  let count = 0;

  beforeAll(async () => {
    if ('missing' in choice) return;
    folder = await mkdtemp(join(tmpdir(), 'cada-credentials-'));
    server = await startS3Server(choice);
    // The SDK reads the environment of the process: keys in it would win over every file.
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_PROFILE'])
      vi.stubEnv(name, undefined);
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'credentials'));
    vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'config'));
  });
  beforeEach(async () => {
    store = `s3://${await makeBucket()}/run`;
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** With the server's own keys, which it has at its start. */
  async function makeBucket(): Promise<string> {
    await exchange(server.credentials);
    return server.makeBucket();
  }
  /** The server takes these keys from now on, and no others. */
  async function exchange(now: Keys): Promise<void> {
    await server.kill();
    await server.restart(now);
  }
  const open = () =>
    openStore(store, {
      env: { AWS_ENDPOINT_URL_S3: server.endpoint, AWS_REGION: 'us-east-1' },
      s3: { multipartBytes: 6e6 },
    });
  /** As tools write it: the new file takes the old one's place. */
  async function writeFileWhole(name: string, text: string): Promise<void> {
    const path = join(folder, `new-${count++}`);
    await writeFile(path, text, { mode: 0o700 });
    await rename(path, join(folder, name));
  }
  const writeKeys = ({ accessKeyId, secretAccessKey }: Keys) =>
    writeFileWhole(
      'credentials',
      `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
    );

  test('the shared credentials file is read again when the server refuses the old keys', async () => {
    await exchange(keys('one'));
    await writeKeys(keys('one'));
    const opened = await open();
    const kept = await opened.putBytes('before', 'note');

    await exchange(keys('two'));
    await writeKeys(keys('two'));
    // All of them were signed with the old keys.
    const read = await Promise.all(Array.from({ length: 6 }, () => opened.getBytes(kept)));
    expect(read.map((bytes) => Buffer.from(bytes).toString())).toEqual(Array(6).fill('before'));

    await exchange(keys('three'));
    await writeKeys(keys('three'));
    const large = join(folder, 'large');
    await writeFile(large, randomBytes(7e6));
    const ref = await opened.putFile(large, 'weights');
    expect(Buffer.from(await opened.getBytes(ref)).equals(await readFile(large))).toBe(true);

    await exchange(keys('four'));
    await writeKeys(keys('four'));
    await opened.putDocument('runs/a/run.json', { a: 1 }, 'ifAbsent');
    await exchange(keys('five'));
    await writeKeys(keys('five'));
    const listed: string[] = [];
    for await (const key of opened.listDocuments('runs/')) listed.push(key);
    expect(listed).toEqual(['runs/a/run.json']);
  }, 60_000);

  test('keys that the server does not take are an error until the file holds others', async () => {
    await exchange(keys('right'));
    await writeKeys(keys('right'));
    const opened = await open();
    await exchange(keys('later'));
    const refused = await opened.putBytes('x', 'note').catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(StoreUnavailableError);
    expect((refused as StoreUnavailableError).message).toContain('Check the credentials');
    expect((refused as StoreUnavailableError).transient).toBe(false);
    await writeFileWhole('credentials', '[default]\naws_access_key_id = half');
    await expect(opened.putBytes('x', 'note')).rejects.toThrow('refuses the request');
    await writeKeys(keys('later'));
    expect((await opened.putBytes('x', 'note')).bytes).toBe(1);
  }, 60_000);

  test('session keys of a credential_process are fetched again when their time is over', async () => {
    const source = join(folder, 'session.json');
    const calls = join(folder, 'calls');
    const session = (now: Keys, seconds: number): Promise<void> =>
      writeFileWhole(
        'session.json',
        JSON.stringify({
          Version: 1,
          AccessKeyId: now.accessKeyId,
          SecretAccessKey: now.secretAccessKey,
          Expiration: new Date(Date.now() + seconds * 1000).toISOString(),
        }),
      );
    await writeFileWhole('fetch.sh', `#!/bin/sh\necho called >> ${calls}\ncat ${source}\n`);
    await rm(join(folder, 'credentials'), { force: true });
    await writeFile(join(folder, 'config'), `[default]\ncredential_process = ${join(folder, 'fetch.sh')}\n`);
    await exchange(keys('first'));
    await session(keys('first'), 3);
    const opened = await open();
    await opened.putBytes('one', 'note');
    const before = (await readFile(calls, 'utf8')).length;

    await exchange(keys('second'));
    await session(keys('second'), 3600);
    await sleep(3000);
    expect((await opened.putBytes('two', 'note')).bytes).toBe(3);
    expect((await readFile(calls, 'utf8')).length).toBeGreaterThan(before);

    // Revoked before their time: the refusal brings the next ones.
    await exchange(keys('third'));
    await session(keys('third'), 3600);
    expect((await opened.putBytes('three', 'note')).bytes).toBe(5);
  }, 60_000);
});
