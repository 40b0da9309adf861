import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe } from 'vitest';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { openStore } from '../../../infra/artifacts/artifactStore.ts';
import type { ArtifactStore, StoreOptions } from '../../../infra/artifacts/artifactStore.ts';
import { findS3Server, startS3Server } from '../../servers/s3Server.ts';

/** One implementation of the store, with what the shared suite needs around it. */
export interface RunningStoreKind {
  /** A store of its own, empty. `env` lets a child process open the same one. */
  fresh(options?: StoreOptions): Promise<ArtifactStore>;
  env: NodeJS.ProcessEnv;
  /** Overwrites what is stored at a key, as rot would, behind the store's back. */
  overwrite(store: ArtifactStore, key: string, bytes: Uint8Array | string): Promise<void>;
  stop(): Promise<void>;
}

/** What the tests of a suite have of it. */
export interface StoreKindAtWork extends Omit<RunningStoreKind, 'stop'> {
  name: string;
}

export interface StoreKind {
  name: string;
  /** Why this kind can't be tested here. */
  missing?: string;
  start(): Promise<RunningStoreKind>;
}

const s3 = await findS3Server();
if ('missing' in s3) console.warn(`The S3 store is not tested here: ${s3.missing}`);

export const storeKinds: StoreKind[] = [
  { name: 'folder', start: startFolders },
  { name: 'S3', start: startS3, ...('missing' in s3 ? { missing: s3.missing } : {}) },
];

/**
 * A suite for every kind of store; where one can't be had here it is skipped, saying why.
 * @param what is tested, before `in a folder store`
 * @param suite `kind` is started before its tests and stopped after them.
 */
export function inEachStore(what: string, suite: (kind: StoreKindAtWork) => void): void {
  for (const { name, missing, start } of storeKinds) {
    const title = `${what} in a ${name} store`;
    if (missing !== undefined) console.warn(`skipped: ${title}: ${missing}`);
    describe.skipIf(missing !== undefined)(title, () => {
      let started: RunningStoreKind;
      beforeAll(async () => {
        started = await start();
      });
      afterAll(() => started?.stop());
      suite({
        name,
        fresh: (options) => started.fresh(options),
        get env() {
          return started.env;
        },
        overwrite: (store, key, bytes) => started.overwrite(store, key, bytes),
      });
    });
  }
}

async function startFolders(): Promise<RunningStoreKind> {
  const root = await mkdtemp(join(tmpdir(), 'cada-store-test-'));
  let count = 0;
  return {
    fresh: (options) => openStore(join(root, `store ${count++}`), options),
    env: {},
    overwrite: (store, key, bytes) => writeFile(join(fileURLToPath(store.uri), key), bytes),
    stop: () => rm(root, { recursive: true, force: true }),
  };
}

async function startS3(): Promise<RunningStoreKind> {
  if ('missing' in s3) throw new Error(s3.missing);
  const server = await startS3Server(s3);
  const client = new S3Client({ ...server, region: server.env.AWS_REGION, forcePathStyle: true });
  return {
    fresh: async (options = {}) =>
      openStore(`s3://${await server.makeBucket()}/some/prefix`, {
        ...options,
        env: { ...server.env, ...options.env },
        s3: { ...options.s3, client: { credentials: server.credentials } },
      }),
    env: server.env,
    overwrite: async (store, key, bytes) => {
      const { hostname, pathname } = new URL(store.uri);
      await client.send(
        new PutObjectCommand({ Bucket: hostname, Key: `${pathname.slice(1)}/${key}`, Body: Buffer.from(bytes) }),
      );
    },
    stop: () => server.stop(),
  };
}
