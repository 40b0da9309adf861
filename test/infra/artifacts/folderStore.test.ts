import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StoreFullError, StoreUnavailableError, openStore } from '../../../infra/artifacts/artifactStore.ts';
import { sha256 } from '../../../infra/artifacts/digest.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-folder-store-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a path and its file address are the same store', async () => {
  const path = join(folder, 'with space');
  const store = await openStore(path);
  expect(store.uri).toBe(pathToFileURL(path).href);
  const ref = await (await openStore(store.uri)).putBytes('hello', 'greeting');
  expect(await store.has(ref)).toBe(true);
});

test('a full disk is said before anything is written, with folder, need and room', async () => {
  const path = join(folder, 'full');
  const store = await openStore(path, { folder: { freeBytes: () => Promise.resolve(20_000_000) } });
  await store.putBytes('small enough', 'note');
  const source = join(folder, 'ten megabytes');
  await writeFile(source, Buffer.alloc(10_000_000));
  const error = await store.putFile(source, 'zeros').catch((problem: unknown) => problem);
  expect(error).toBeInstanceOf(StoreFullError);
  expect((error as Error).message).toContain(`no room on the disk of ${path}: 10000000 bytes (10 MB)`);
  expect((error as Error).message).toContain('20 MB are free');
  expect(await readdir(join(path, 'objects'))).toHaveLength(1);
  expect(await readdir(join(path, 'tmp'))).toEqual([]);
});

test('a file given away is not written a second time; put, it is copied', async () => {
  const path = join(folder, 'given');
  const store = await openStore(path);
  const inodeOf = async (file: string) => (await stat(file)).ino;
  for (const [verb, same] of [
    ['giveFile', true],
    ['putFile', false],
  ] as const) {
    const source = join(folder, verb);
    await writeFile(source, `a file for ${verb}`);
    await utimes(source, new Date(0), new Date(0));
    const { sha256: digest } = await store[verb](source, 'note');
    const object = join(path, 'objects', digest);
    expect((await inodeOf(object)) === (await inodeOf(source))).toBe(same);
    // As new as its put, whatever the file's own age: `cada gc` goes by it.
    expect((await stat(object)).mtimeMs).toBeGreaterThan(Date.now() - 60_000);
  }
  expect(await readdir(join(path, 'tmp'))).toEqual([]);
});

test('a folder that can not be made is named', async () => {
  await writeFile(join(folder, 'a file'), '');
  await expect(openStore(join(folder, 'a file', 'store'))).rejects.toThrow(StoreUnavailableError);
  await expect(openStore(join(folder, 'a file', 'store'))).rejects.toThrow(/a file.store can't be used.*CADA_STORE/);
});

test('puts leave nothing in the temporary folder, and old leftovers go at the next opening', async () => {
  const path = join(folder, 'leftovers');
  const store = await openStore(path);
  const { etag } = await store.putDocument('runs/a/run.json', { n: 1 }, 'ifAbsent');
  await store.putDocument('runs/a/run.json', { n: 2 }, 'ifAbsent');
  await store.putDocument('runs/a/run.json', { n: 2 }, { ifMatch: etag });
  await store.putDocument('runs/a/run.json', { n: 3 }, { ifMatch: etag }).catch(() => undefined);
  await store.putBytes('hello', 'greeting');
  await store.putBytes('hello', 'greeting');
  expect(await readdir(join(path, 'tmp'))).toEqual([]);

  await writeFile(join(path, 'tmp', 'old'), 'x');
  await writeFile(join(path, 'tmp', 'young'), 'x');
  const twoDaysAgo = Date.now() / 1000 - 2 * 86_400;
  await utimes(join(path, 'tmp', 'old'), twoDaysAgo, twoDaysAgo);
  await openStore(path);
  expect(await readdir(join(path, 'tmp'))).toEqual(['young']);
});

test('a replacement whose writer died between claim and rename is completed by the next writer', async () => {
  const path = join(folder, 'claims');
  const store = await openStore(path);
  const key = 'runs/a/run.json';
  const { etag } = await store.putDocument(key, { n: 1 }, 'ifAbsent');
  const claim = join(path, 'tmp', `claim-${sha256(`${key}\n${etag}`)}`);
  await writeFile(claim, '{"n":2}\n');
  const minuteAgo = Date.now() / 1000 - 60;
  await utimes(claim, minuteAgo, minuteAgo);
  await expect(store.putDocument(key, { n: 3 }, { ifMatch: etag })).rejects.toThrow(/changed meanwhile/);
  expect((await store.getDocument(key))?.value).toEqual({ n: 2 });
  expect(await readdir(join(path, 'tmp'))).toEqual([]);
});

test('files that are not its own do not disturb a listing', async () => {
  const path = join(folder, 'strangers');
  const store = await openStore(path);
  const ref = await store.putBytes('hello', 'greeting');
  await writeFile(join(path, 'objects', '.DS_Store'), '');
  await mkdir(join(path, 'runs', 'r'), { recursive: true });
  const found: string[] = [];
  for await (const object of store.listObjects()) found.push(object.sha256);
  expect(found).toEqual([ref.sha256]);
});
