import { mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { MockInstance } from 'vitest';
import { ArtifactMissingError, openStore } from '../../../infra/artifacts/artifactStore.ts';
import type { ArtifactRef, ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import { keepLocal } from '../../../infra/artifacts/localFiles.ts';

let folder: string;
let store: ArtifactStore;
let ref: ArtifactRef;
let fetched: MockInstance<ArtifactStore['fetchToFile']>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-local-files-'));
});
beforeEach(async () => {
  store = await openStore(join(folder, 'store'));
  fetched = vi.spyOn(store, 'fetchToFile');
  ref = await store.putBytes('weights', 'model-file');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a file is fetched and hashed once, however often it is asked for', async () => {
  const path = join(folder, 'once');
  for (let times = 0; times < 3; times++) await keepLocal(store, ref, path);
  expect(fetched).toHaveBeenCalledTimes(1);
  expect(await readFile(path, 'utf8')).toBe('weights');
});

test.each([
  ['removed', (path: string) => rm(path)],
  ['replaced by another of the same size', (path: string) => rm(path).then(() => writeFile(path, 'Weights'))],
  [
    'another one, older than the first',
    (path: string) =>
      rm(path)
        .then(() => writeFile(path, 'weightS'))
        .then(() => utimes(path, 1, 1)),
  ],
])('a file that was %s is fetched again', async (what, change) => {
  const path = join(folder, what);
  await keepLocal(store, ref, path);
  await change(path);
  await keepLocal(store, ref, path);
  expect(fetched).toHaveBeenCalledTimes(2);
  expect(await readFile(path, 'utf8')).toBe('weights');
});

test('another artifact at the same path is fetched', async () => {
  const path = join(folder, 'reused');
  await keepLocal(store, ref, path);
  await keepLocal(store, await store.putBytes('other weights', 'model-file'), path);
  expect(await readFile(path, 'utf8')).toBe('other weights');
  expect((await stat(path)).size).toBe(13);
});

test('what is not in the store is told, now and the next time', async () => {
  const gone = { ...ref, sha256: 'b'.repeat(64) };
  for (let times = 0; times < 2; times++)
    await expect(keepLocal(store, gone, join(folder, 'gone'))).rejects.toThrow(ArtifactMissingError);
});
