import { beforeEach, expect, test } from 'vitest';
import { DocumentConflictError, InvalidKeyError } from '../../../infra/artifacts/artifactStore.ts';
import type { ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import {
  latestRun,
  listHistories,
  listIterations,
  listRuns,
  loadHistory,
  loadRun,
  newestIteration,
  saveHistory,
  saveIteration,
  saveRun,
} from '../../../infra/artifacts/runs.ts';
import { inEachStore } from './storeKinds.ts';

inEachStore('runs', (kind) => {
  let store: ArtifactStore;
  beforeEach(async () => {
    store = await kind.fresh();
  });

  test('a record is written once, then changed on its version', async () => {
    expect(await loadRun(store, 'demo-1')).toBeUndefined();
    const first = await saveRun(store, 'demo-1', { state: 'running' }, undefined, new Date('2026-01-01T00:00:00Z'));
    expect(first).toMatchObject({ runId: 'demo-1', savedAt: '2026-01-01T00:00:00.000Z', adopted: false });
    expect((await saveRun(store, 'demo-1', { state: 'lost race' })).record).toEqual({ state: 'running' });
    const second = await saveRun(store, 'demo-1', { state: 'done' }, first.etag);
    await expect(saveRun(store, 'demo-1', { state: 'late' }, first.etag)).rejects.toThrow(DocumentConflictError);
    expect(await loadRun(store, 'demo-1')).toMatchObject({ record: { state: 'done' }, etag: second.etag });
    expect(second.startedAt).toBe('2026-01-01T00:00:00.000Z');
    expect(second.savedAt > '2026-01-02').toBe(true);
    await expect(saveRun(store, '../demo', {})).rejects.toThrow(InvalidKeyError);
  });

  test('the latest run is the one whose record changed last', async () => {
    expect(await latestRun(store)).toBeUndefined();
    const a = await saveRun(store, 'a', { n: 1 }, undefined, new Date('2026-01-01'));
    await saveRun(store, 'b', { n: 2 }, undefined, new Date('2026-01-02'));
    await saveIteration(store, 'without-record', 0, 1, {});
    expect((await latestRun(store))?.runId).toBe('b');
    await saveRun(store, 'a', { n: 3 }, a.etag, new Date('2026-01-03'));
    expect(await latestRun(store)).toMatchObject({ runId: 'a', record: { n: 3 } });
    expect(await listRuns(store)).toEqual(['a', 'b']);
  });

  test('iterations are listed by epoch and number, not by spelling, and written once', async () => {
    expect(await newestIteration(store, 'r')).toBeUndefined();
    for (const [epoch, n] of [
      [0, 10],
      [0, 9],
      [1, 4],
      [0, 1],
    ] as const) {
      await saveIteration(store, 'r', epoch, n, { is: `${epoch}-${n}` });
    }
    expect(await saveIteration(store, 'r', 0, 9, { is: 'late' })).toEqual({ value: { is: '0-9' }, adopted: true });
    expect((await listIterations<{ is: string }>(store, 'r')).map(({ value }) => value.is)).toEqual([
      '0-1',
      '0-9',
      '0-10',
      '1-4',
    ]);
    expect(await newestIteration(store, 'r')).toEqual({ epoch: 1, n: 4, value: { is: '1-4' } });
    await expect(saveIteration(store, 'r', 0, -1, {})).rejects.toThrow(RangeError);
  });

  test('histories are kept by name', async () => {
    await saveHistory(store, 'r', 'iteration-1', { events: [1] });
    await saveHistory(store, 'r', 'iteration-1', { events: [1, 2] });
    await saveHistory(store, 'r', 'run', { events: [] });
    expect(await listHistories(store, 'r')).toEqual(['iteration-1', 'run']);
    expect(await loadHistory(store, 'r', 'iteration-1')).toEqual({ events: [1, 2] });
  });
});
