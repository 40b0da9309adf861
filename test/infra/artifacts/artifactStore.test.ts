import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  ArtifactCorruptError,
  ArtifactMissingError,
  DocumentConflictError,
  DocumentCorruptError,
  InvalidKeyError,
  openStore,
} from '../../../infra/artifacts/artifactStore.ts';
import type { ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import { inEachStore } from './storeKinds.ts';

/** SHA-256 of "hello". */
const HELLO = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-artifacts-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

inEachStore('artifacts', (kind) => {
  let store: ArtifactStore;
  beforeAll(async () => {
    store = await kind.fresh();
  });

  test('gives back the bytes it was given, under the digest of the content', async () => {
    const ref = await store.putBytes('hello', 'greeting');
    expect(ref).toEqual({ uri: `${store.uri}/objects/${HELLO}`, sha256: HELLO, bytes: 5, kind: 'greeting' });
    expect(Buffer.from(await store.getBytes(ref)).toString()).toBe('hello');
    expect(await store.has(ref)).toBe(true);
    expect(await store.has({ ...ref, bytes: 6 })).toBe(false);

    const path = join(folder, `${kind.name} fetched`, 'deep', 'hello.txt');
    for (let times = 0; times < 2; times++) {
      await store.fetchToFile(ref, path);
      expect(await readFile(path, 'utf8')).toBe('hello');
      expect(await readdir(join(path, '..'))).toEqual(['hello.txt']);
    }
    await writeFile(join(folder, 'old.txt'), 'earlier content');
    await store.fetchToFile(ref, join(folder, 'old.txt'));
    expect(await readFile(join(folder, 'old.txt'), 'utf8')).toBe('hello');
  });

  test('an empty object is an object', async () => {
    const ref = await store.putBytes('', 'nothing');
    expect(ref.bytes).toBe(0);
    expect((await store.getBytes(ref)).length).toBe(0);
  });

  test('a file put twice is one object, and a reference from a moved store is still found', async () => {
    const own = await kind.fresh();
    const source = join(folder, 'source.txt');
    await writeFile(source, 'hello');
    const first = await own.putFile(source, 'greeting');
    expect(await own.putFile(source, 'greeting')).toEqual(first);
    expect(await all(own.listObjects())).toEqual([{ sha256: HELLO, bytes: 5, putAt: expect.any(Date) as Date }]);
    const elsewhere = { ...first, uri: `s3://elsewhere/objects/${HELLO}` };
    expect(Buffer.from(await own.getBytes(elsewhere)).toString()).toBe('hello');
    await own.deleteObject(HELLO);
    expect(await own.has(first)).toBe(false);
  });

  test('a file given away is an object too, in place of a damaged one as well, and still there for whoever gave it', async () => {
    const own = await kind.fresh();
    const source = join(folder, 'given.txt');
    await writeFile(source, 'hello');
    const ref = await own.giveFile(source, 'greeting');
    expect(ref).toEqual({ uri: `${own.uri}/objects/${HELLO}`, sha256: HELLO, bytes: 5, kind: 'greeting' });
    expect(await own.giveFile(source, 'greeting')).toEqual(ref);
    expect(await readFile(source, 'utf8')).toBe('hello');
    await rm(source);
    await own.checkObject(ref);
    await kind.overwrite(own, `objects/${HELLO}`, 'jello');
    await writeFile(source, 'hello');
    await own.giveFile(source, 'greeting');
    await own.checkObject(ref);
  });

  test('an object of many parts comes back with its digest', async () => {
    const own = await kind.fresh({ s3: { multipartBytes: 6e6, partBytes: 5 * 1024 * 1024 } });
    const bytes = randomBytes(23_000_001);
    const source = join(folder, 'large.bin');
    await writeFile(source, bytes);
    const ref = await own.putFile(source, 'noise');
    expect(ref.bytes).toBe(23_000_001);
    expect(Buffer.compare(await own.getBytes(ref), bytes)).toBe(0);
    const path = join(folder, `${kind.name} large`);
    await own.fetchToFile(ref, path);
    expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
  });

  test('a missing object is named, with what to do', async () => {
    const ref = { ...(await store.putBytes('soon gone', 'note')), sha256: 'a'.repeat(64) };
    await expect(store.getBytes(ref)).rejects.toThrow(ArtifactMissingError);
    await expect(store.fetchToFile(ref, join(folder, 'never'))).rejects.toThrow(
      new RegExp(`${store.uri}/objects/a{64} \\(note\\) is not in the store.*Start the run again`, 's'),
    );
    expect(await readdir(folder)).not.toContain('never');
    expect(await store.has(ref)).toBe(false);
  });

  test.each([
    ['changed', 'jello'],
    ['cut short', 'hell'],
  ])('a %s object is found, never handed out, and repaired by the next put', async (_what, rotten) => {
    const own = await kind.fresh();
    const ref = await own.putBytes('hello', 'greeting');
    await kind.overwrite(own, `objects/${HELLO}`, rotten);
    await expect(own.getBytes(ref)).rejects.toThrow(ArtifactCorruptError);
    await expect(own.fetchToFile(ref, join(folder, 'rotten'))).rejects.toThrow(/objects\/2cf24.*is corrupt/);
    expect((await readdir(folder)).filter((each) => each.startsWith('rotten'))).toEqual([]);
    await own.putBytes('hello', 'greeting');
    expect(Buffer.from(await own.getBytes(ref)).toString()).toBe('hello');
  });

  test('an object is as old as its last put, and goes only where it is older than asked for', async () => {
    const own = await kind.fresh();
    const ref = await own.putBytes('hello', 'greeting');
    const [first] = await all(own.listObjects());
    expect(Math.abs(Date.now() - first!.putAt.getTime())).toBeLessThan(600_000);
    await sleep(1100); // S3 counts whole seconds
    await own.putBytes('hello', 'greeting');
    const [again] = await all(own.listObjects());
    expect(again!.putAt.getTime()).toBeGreaterThan(first!.putAt.getTime());

    expect(await own.deleteObject(HELLO, again!.putAt)).toBe(false);
    expect(await own.has(ref)).toBe(true);
    expect(await own.deleteObject(HELLO, new Date(again!.putAt.getTime() + 1000))).toBe(true);
    expect(await own.has(ref)).toBe(false);
    expect(await own.deleteObject(HELLO)).toBe(false);
  });

  test('an object is checked without being handed out', async () => {
    const own = await kind.fresh();
    const ref = await own.putBytes('hello', 'greeting');
    await own.checkObject(ref);
    await kind.overwrite(own, `objects/${HELLO}`, 'jello');
    await expect(own.checkObject(ref)).rejects.toThrow(ArtifactCorruptError);
    await own.deleteObject(HELLO);
    await expect(own.checkObject(ref)).rejects.toThrow(ArtifactMissingError);
  });

  test('a document is kept as canonical JSON and replaced on its version only', async () => {
    const key = 'runs/one/run.json';
    const first = await store.putDocument(key, { b: 1, a: [1.5, 'ü'], gone: undefined }, 'ifAbsent');
    expect(first).toMatchObject({ value: { a: [1.5, 'ü'], b: 1 }, adopted: false });
    expect(await store.getDocument(key)).toEqual({ value: { a: [1.5, 'ü'], b: 1 }, etag: first.etag });

    const late = await store.putDocument(key, { b: 2 }, 'ifAbsent');
    expect(late).toEqual({ value: { a: [1.5, 'ü'], b: 1 }, etag: first.etag, adopted: true });

    const second = await store.putDocument(key, { b: 3 }, { ifMatch: first.etag });
    expect(second.etag).not.toBe(first.etag);
    await expect(store.putDocument(key, { b: 4 }, { ifMatch: first.etag })).rejects.toThrow(DocumentConflictError);
    expect(await store.getDocument(key)).toEqual({ value: { b: 3 }, etag: second.etag });

    await store.putDocument(key, { b: 5 }, 'replace');
    expect((await store.getDocument(key))?.value).toEqual({ b: 5 });
    await store.deleteDocument(key);
    expect(await store.getDocument(key)).toBeUndefined();
    await expect(store.putDocument(key, { b: 6 }, { ifMatch: second.etag })).rejects.toThrow(DocumentConflictError);
    await store.deleteDocument(key);
  });

  test('a large document loses and wins the same way', async () => {
    const key = 'runs/one/history/large.json';
    const text = 'x'.repeat(3_000_000);
    const first = await store.putDocument(key, { text, n: 1 }, 'ifAbsent');
    const late = await store.putDocument(key, { text, n: 2 }, 'ifAbsent');
    expect([first.adopted, late.adopted, (late.value as { n: number }).n]).toEqual([false, true, 1]);
    await expect(store.putDocument(key, { text, n: 3 }, { ifMatch: '"other"' })).rejects.toThrow(DocumentConflictError);
    await store.putDocument(key, { text, n: 4 }, { ifMatch: first.etag });
    expect((await store.getDocument<{ n: number }>(key))?.value.n).toBe(4);
  });

  test('of many writers at once exactly one wins, and the others take its value', async () => {
    for (let round = 0; round < 5; round++) {
      const key = `steps/race-${round}.json`;
      const puts = await Promise.all(
        Array.from({ length: 12 }, (_, writer) => store.putDocument(key, { writer }, 'ifAbsent')),
      );
      const winners = puts.filter((put) => !put.adopted);
      expect(winners).toHaveLength(1);
      expect(new Set(puts.map((put) => JSON.stringify([put.value, put.etag]))).size).toBe(1);
      expect((await store.getDocument(key))?.value).toEqual(winners[0]?.value);
    }
  });

  test('of many replacements of one version exactly one holds', async () => {
    const key = 'runs/counter/run.json';
    let { etag } = await store.putDocument(key, { round: -1 }, 'replace');
    for (let round = 0; round < 5; round++) {
      const puts = await Promise.allSettled(
        Array.from({ length: 8 }, (_, writer) => store.putDocument(key, { round, writer }, { ifMatch: etag })),
      );
      const held = puts.filter((put) => put.status === 'fulfilled');
      expect(held).toHaveLength(1);
      for (const put of puts) {
        if (put.status === 'rejected') expect(put.reason).toBeInstanceOf(DocumentConflictError);
      }
      expect((await store.getDocument(key))?.value).toEqual(held[0]?.value.value);
      etag = held[0]?.value.etag ?? '';
    }
  });

  test('counting by compare-and-swap loses no count', async () => {
    const key = 'runs/counting/run.json';
    await store.putDocument(key, { count: 0 }, 'replace');
    const increment = async (): Promise<void> => {
      const { value, etag } = (await store.getDocument<{ count: number }>(key)) ?? { value: { count: 0 }, etag: '' };
      await store.putDocument(key, { count: value.count + 1 }, { ifMatch: etag }).catch((error: unknown) => {
        if (error instanceof DocumentConflictError) return increment();
        throw error;
      });
    };
    const count = async (times: number) => {
      for (let n = 0; n < times; n++) await increment();
    };
    await Promise.all(Array.from({ length: 5 }, () => count(20)));
    expect((await store.getDocument(key))?.value).toEqual({ count: 100 });
  });

  test('a document that is no longer JSON is reported with the version that replaces it', async () => {
    const key = 'steps/rotten.json';
    await store.putDocument(key, { fine: true }, 'ifAbsent');
    await kind.overwrite(store, key, '{"fine":tr');
    const error = await store.getDocument(key).catch((problem: unknown) => problem);
    expect(error).toBeInstanceOf(DocumentCorruptError);
    await store.putDocument(key, { fine: 'again' }, { ifMatch: (error as DocumentCorruptError).etag });
    expect((await store.getDocument(key))?.value).toEqual({ fine: 'again' });
  });

  test('keys can not leave the store, and values must be JSON', async () => {
    for (const key of [
      '../run.json',
      'runs/../../run.json',
      'runs/./run.json',
      '/runs/run.json',
      'runs//run.json',
      'runs/run.json/',
      'runs/a b.json',
      'runs/a%2f.json',
      'runs\\run.json',
      'runs/.hidden.json',
      'runs/a.json/b.json',
      'runs/run.txt',
      'objects/x.json',
      'tmp/x.json',
      `runs/${'a'.repeat(201)}.json`,
      '',
    ]) {
      await expect(store.putDocument(key, {}, 'replace'), key).rejects.toThrow(InvalidKeyError);
      await expect(store.getDocument(key), key).rejects.toThrow(InvalidKeyError);
      await expect(store.deleteDocument(key), key).rejects.toThrow(InvalidKeyError);
    }
    for (const prefix of ['', '../', 'runs/../', 'objects/', 'runs//']) {
      await expect(all(store.listDocuments(prefix)), prefix).rejects.toThrow(InvalidKeyError);
    }
    const ref = { ...(await store.putBytes('x', 'note')), sha256: '../../secret' };
    await expect(store.getBytes(ref)).rejects.toThrow(InvalidKeyError);
    await expect(store.putDocument('runs/x.json', { a: { b: [NaN] } }, 'replace')).rejects.toThrow('$.a.b[0] is NaN');
    await expect(store.putDocument('runs/x.json', { at: new Date() }, 'replace')).rejects.toThrow('$.at is a Date');
  });

  test('lists documents by pages, in order, by prefix', async () => {
    const own = await kind.fresh({ s3: { pageSize: 4 } });
    const keys = Array.from({ length: 11 }, (_, n) => `runs/r/iterations/0-${n}.json`);
    await Promise.all(keys.map((key) => own.putDocument(key, {}, 'ifAbsent')));
    const others = ['runs/r/run.json', 'runs/r.old/run.json', 'runs/s/history/h.json', 'steps/a.json'];
    for (const key of others) await own.putDocument(key, {}, 'ifAbsent');
    expect(await all(own.listDocuments('runs/r/iterations/'))).toEqual([...keys].sort());
    expect(await all(own.listDocuments('runs/r/iterations/0-1'))).toEqual([
      'runs/r/iterations/0-1.json',
      'runs/r/iterations/0-10.json',
    ]);
    expect(await all(own.listDocuments('runs/r'))).toEqual([...keys, 'runs/r/run.json', 'runs/r.old/run.json'].sort());
    expect(await all(own.listFolders('runs/'))).toEqual(['r.old', 'r', 's']);
    expect(await all(own.listDocuments('none/'))).toEqual([]);
    expect(await all(own.listFolders('none/'))).toEqual([]);
    for (let n = 0; n < 9; n++) await own.putBytes(`object ${n}`, 'note');
    expect(await all(own.listObjects())).toHaveLength(9);
  });

  test('a writer killed in the middle of a put leaves nothing that is not whole', async () => {
    const own = await kind.fresh();
    let killedInPut = 0;
    for (let kill = 0; kill < 4; kill++) {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'putInChild.ts'), own.uri, folder, '20000000'], {
        env: { ...process.env, ...kind.env },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      const started = new Promise<void>((done) =>
        child.stdout.on('data', (chunk: Buffer) => {
          output += chunk.toString();
          if (output.includes('putting')) done();
        }),
      );
      const ended = new Promise((done) => child.once('exit', done));
      await Promise.race([started, ended]);
      await sleep(5 + 20 * kill);
      child.kill('SIGKILL');
      await ended;
      if (output.trim().endsWith('putting')) killedInPut++;
      for (const line of output.split('\n').filter((each) => each.startsWith('put '))) {
        const digest = line.slice('put '.length);
        await own.getBytes({ uri: '', sha256: digest, bytes: 20_000_000, kind: 'noise' }); // acknowledged: still there
      }
    }
    expect(killedInPut).toBeGreaterThan(0);
    for await (const { sha256, bytes } of own.listObjects()) {
      expect(bytes).toBe(20_000_000);
      await own.getBytes({ uri: '', sha256, bytes, kind: 'noise' }); // its digest is verified
    }
    for await (const key of own.listDocuments('runs/')) expect(await own.getDocument(key)).toBeDefined();
  });
});

test('an address that is no store is refused before any work', async () => {
  for (const uri of ['', 'http://host/bucket', 's3://', 's3://b/../x', 'file://relative', 'gs://bucket']) {
    await expect(openStore(uri, { env: {} }), uri).rejects.toThrow(InvalidKeyError);
  }
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
