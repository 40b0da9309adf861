/** Malformed artifacts, documents, keys and addresses of stores. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openStore, type ArtifactRef, type ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import { checkDigest, checkKey } from '../../../infra/artifacts/keys.ts';
import { s3Place } from '../../../infra/artifacts/s3Client.ts';
import { loadHistory, saveIteration, saveRun } from '../../../infra/artifacts/runs.ts';
import { stepKey } from '../../../infra/artifacts/steps.ts';
import type { BadInput } from '../badInput.ts';

type Says = (string | RegExp)[];

const address = (name: string, uri: string, ...says: Says): BadInput => ({
  name,
  input: () => () => openStore(uri, { env: {} }),
  says,
});

const inStore = (
  name: string,
  prepare: (store: ArtifactStore, folder: string) => Promise<() => unknown>,
  ...says: Says
): BadInput => ({
  name,
  input: async (folder) => prepare(await openStore(folder), folder),
  says,
});

const key = (name: string, value: string, ...says: Says): BadInput => ({
  name,
  input: () => () => checkKey(value),
  says: ['is not allowed', 'Keys are parts of letters, digits', ...says],
});

const notAStore = 'Use s3://bucket/prefix or a folder';

export const storeAddresses: BadInput[] = [
  address('nothing', '', 'is not a store address', notAStore),
  address('blanks', '   ', 'is not a store address', notAStore),
  address('an unknown scheme', 'ftp://host/x', '"ftp://host/x" is not a store address', notAStore),
  address('a web address', 'https://host/x', 'is not a store address', notAStore),
  address('a relative file address', 'file:store', 'write file:///absolute/folder'),
  address('a file address of another host', 'file://host/store', 'is not a folder address', 'write file:///absolute'),
  address('a bucket without slashes', 's3:bucket', 'is not an S3 address', 'write s3://bucket/prefix'),
  address('no bucket', 's3:///prefix', 'is not an S3 address', 'write s3://bucket/prefix'),
  { name: 'an empty part of a prefix', input: () => () => s3Place('s3://bucket/a//b', {}, {}), says: ['s3://'] },
  {
    name: 'an encryption that is none',
    input: () => () => s3Place('s3://bucket', { CADA_S3_SSE: 'none' }, {}),
    says: ['CADA_S3_SSE=none', 'AES256'],
  },
  {
    name: 'a path style that is none',
    input: () => () => s3Place('s3://bucket', { CADA_S3_PATH_STYLE: 'yes' }, {}),
    says: ['CADA_S3_PATH_STYLE=yes is not allowed: use one of'],
  },
  inStore(
    'a file where a folder should be',
    async (_, folder) => {
      await writeFile(join(folder, 'file'), '');
      return () => openStore(join(folder, 'file', 'store'));
    },
    "can't be used",
    'CADA_STORE',
  ),
];

export const storeKeys: BadInput[] = [
  key('a step up', '../x.json', '".." is not an allowed part'),
  key('a step up in the middle', 'runs/../../x.json', '".." is not an allowed part'),
  key('an absolute path', '/etc/x.json', '"" is not an allowed part'),
  key('an empty part', 'runs//x.json', '"" is not an allowed part'),
  key('a hidden file', 'runs/.x.json', '".x.json" is not an allowed part'),
  key('a backslash', 'runs\\x.json', 'is not an allowed part'),
  key('a null byte', 'runs/x\0.json', 'is not an allowed part'),
  key('a line end', 'runs/x\n.json', 'is not an allowed part'),
  key('an encoded step up', 'runs/%2e%2e/x.json', 'is not an allowed part'),
  key('letters that look alike', 'runs/\u0430.json', 'is not an allowed part'),
  key("the store's own folder", 'objects/x.json', '"objects/" belongs to the store itself'),
  key('no ending', 'runs/x', 'it must end in .json'),
  key('a folder that looks like a document', 'runs/a.json/b.json', 'a folder must not end in .json'),
  key('a thousand letters', `${'a/'.repeat(500)}x.json`, 'longer than 900 characters'),
  {
    name: 'a digest that climbs',
    input: () => () => checkDigest('../../etc/passwd'),
    says: ['is not a SHA-256 digest in lower-case hex'],
  },
  { name: 'a digest in capitals', input: () => () => checkDigest('A'.repeat(64)), says: ['is not a SHA-256 digest'] },
  inStore(
    'a run id that climbs',
    (store) => Promise.resolve(() => saveRun(store, '../demo', {})),
    'run id "../demo" is not allowed',
    'use letters, digits',
  ),
  inStore(
    'a name of a history that climbs',
    (store) => Promise.resolve(() => loadHistory(store, 'a', '../run')),
    'history name "../run" is not allowed',
  ),
  inStore(
    'a negative iteration',
    (store) => Promise.resolve(() => saveIteration(store, 'demo', 0, 0.5, {}).catch(explained)),
    'epoch and number must be whole and not negative',
  ),
  {
    name: 'NaN among the inputs of a step',
    input: () => () => plain(() => stepKey({ stage: 's', version: 1, inputs: { a: NaN } })),
    says: ['$.inputs.a is NaN', 'has no JSON form'],
  },
];

/** These two guard against mistakes of our own code, with errors of the language whose words count. */
function explained(error: unknown): never {
  throw new Error((error as Error).message);
}
function plain(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return explained(error);
  }
}

/** An artifact of five bytes whose object is changed. */
const object = (
  name: string,
  change: (path: string) => Promise<void>,
  read: (store: ArtifactStore, ref: ArtifactRef, folder: string) => unknown,
  ...says: Says
): BadInput =>
  inStore(
    name,
    async (store, folder) => {
      const ref = await store.putBytes('bytes', 'chains');
      await change(join(folder, 'objects', ...objectPath(ref.sha256)));
      return () => read(store, ref, folder);
    },
    '(chains) ',
    'Start the run again with the same configuration',
    ...says,
  );

/** Where a folder store keeps an object. */
const objectPath = (sha256: string): string[] => [sha256];

export const artifactObjects: BadInput[] = [
  object(
    'missing',
    (path) => rm(path),
    (store, ref) => store.getBytes(ref),
    'is not in the store',
    'CADA_STORE',
  ),
  object(
    'cut off',
    (path) => writeFile(path, 'byt'),
    (store, ref) => store.getBytes(ref),
    'is corrupt',
    'check the disk',
  ),
  object(
    'of other bytes',
    (path) => writeFile(path, 'bites'),
    (store, ref) => store.getBytes(ref),
    'is corrupt',
  ),
  object(
    'empty',
    (path) => writeFile(path, ''),
    (store, ref) => store.getBytes(ref),
    'is corrupt',
  ),
  object(
    'of other bytes, fetched to a file',
    (path) => writeFile(path, 'bites'),
    (store, ref, folder) => store.fetchToFile(ref, join(folder, 'fetched')),
    'is corrupt',
  ),
  object(
    'missing, fetched to a file',
    (path) => rm(path),
    (store, ref, folder) => store.fetchToFile(ref, join(folder, 'fetched')),
    'is not in the store',
  ),
  object(
    'of other bytes, checked',
    (path) => writeFile(path, 'bites'),
    (store, ref) => store.checkObject(ref),
    'is corrupt',
  ),
  inStore(
    'named by a digest that climbs',
    (store) => Promise.resolve(() => store.getBytes({ uri: '', sha256: '../run', bytes: 1, kind: 'chains' })),
    'is not a SHA-256 digest',
  ),
  inStore(
    'a document that is not JSON',
    async (store, folder) => {
      await store.putDocument('runs/demo/run.json', { a: 1 }, 'ifAbsent');
      await writeFile(join(folder, 'runs/demo/run.json'), '{"a"');
      return () => store.getDocument('runs/demo/run.json');
    },
    'runs/demo/run.json is not valid JSON',
    'Delete it, or restore it',
  ),
  inStore(
    'an empty document',
    async (store, folder) => {
      await store.putDocument('runs/demo/run.json', { a: 1 }, 'ifAbsent');
      await writeFile(join(folder, 'runs/demo/run.json'), '');
      return () => store.getDocument('runs/demo/run.json');
    },
    'is not valid JSON',
    'Delete it',
  ),
];
