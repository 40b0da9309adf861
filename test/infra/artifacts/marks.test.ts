import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openStore, type ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import { findGarbage, removeGarbage } from '../../../infra/artifacts/garbage.ts';
import { listMarks, saveMarks } from '../../../infra/artifacts/marks.ts';
import { saveRun } from '../../../infra/artifacts/runs.ts';
import { verifyRun } from '../../../infra/artifacts/verify.ts';

let folder: string;
let store: ArtifactStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-marks-'));
  store = await openStore(folder);
  for (const runId of ['kept', 'forgotten']) await saveRun(store, runId, { state: 'done' });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('writers at once each keep their mark, under a number of its own', async () => {
  const writers = Array.from({ length: 6 }, (_, writer) => {
    const mark = { by: `w${writer % 3}` };
    return saveMarks(store, 'kept', [mark, mark]);
  });
  const saved = (await Promise.all(writers)).flat();
  expect(saved.map(({ number }) => number).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const listed = await listMarks<{ number: number; by: string }>(store, 'kept');
  expect(listed.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  expect(listed.filter(({ by }) => by === 'w1')).toHaveLength(4);
});

test('marks of a kept run survive garbage collection, those of a forgotten one go with it', async () => {
  await saveMarks(store, 'forgotten', [{ by: 'ann' }]);
  const garbage = await findGarbage(store, { olderThanMs: 0, forget: ['forgotten'] });
  expect(garbage.documents).toEqual(['runs/forgotten/marks/1.json', 'runs/forgotten/run.json']);
  await removeGarbage(store, garbage);
  expect(await listMarks(store, 'kept')).toHaveLength(12);
  expect(await listMarks(store, 'forgotten')).toEqual([]);
  expect((await verifyRun(store, 'kept')).kinds).toContainEqual({ kind: 'mark', artifacts: 12, bytes: 0, damaged: 0 });
});
