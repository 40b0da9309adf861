import { beforeEach, expect, test } from 'vitest';
import { appendAudit, readAudit } from '../../../infra/artifacts/audit.ts';
import { openStore, type ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import { inEachStore, storeKinds } from './storeKinds.ts';

inEachStore('the audit log', (kind) => {
  let store: ArtifactStore;
  beforeEach(async () => {
    store = await kind.fresh();
  });

  test('entries follow each other, and the head names the newest', async () => {
    expect(await readAudit(store, 'r')).toEqual({ entries: [] });
    const now = new Date('2026-11-29T12:00:00Z');
    const first = await appendAudit(store, 'r', { who: 'ann', what: 'pause' }, { now });
    expect(first).toMatchObject({ number: 1, at: '2026-11-29T12:00:00.000Z', previous: null, details: {} });
    await appendAudit(store, 'r', { who: 'bob', what: 'resume', why: 'checked', details: { after: 3 } });
    const log = await readAudit(store, 'r');
    expect(log.entries.map(({ who, what, why, details }) => [who, what, why, details])).toEqual([
      ['ann', 'pause', undefined, {}],
      ['bob', 'resume', 'checked', { after: 3 }],
    ]);
    expect(log.head?.number).toBe(2);
    expect(log.broken).toBeUndefined();
  });

  test('writers that race all end up in the chain, each once', async () => {
    const writers = Array.from({ length: 12 }, (_, index) => `writer ${index}`);
    // As another process would have it: nothing is shared but the store.
    await Promise.all(writers.map((who) => appendAudit(store, 'r', { who, what: 'race' })));
    const log = await readAudit(store, 'r');
    expect(log.broken).toBeUndefined();
    expect(log.entries.map(({ who }) => who).sort()).toEqual([...writers].sort());
    expect(log.head?.number).toBe(12);
  });

  test('an event is written once, whoever tries again, also at the same time', async () => {
    const note = { who: 'guard', what: 'roll back' };
    const first = await appendAudit(store, 'r', note, { event: 'course/1' });
    await appendAudit(store, 'r', { who: 'ann', what: 'pause' });
    expect(await appendAudit(store, 'r', note, { event: 'course/1' })).toEqual(first);
    const twice = await Promise.all([1, 2].map(() => appendAudit(store, 'r', note, { event: 'course/2' })));
    expect(twice[0]).toEqual(twice[1]);
    expect((await readAudit(store, 'r')).entries.map(({ event }) => event).slice(2)).toEqual(['course/2']);
  });

  test('a head that was left behind is caught up with', async () => {
    for (const what of ['one', 'two', 'three']) await appendAudit(store, 'r', { who: 'ann', what });
    await store.deleteDocument('runs/r/audit/head.json');
    await appendAudit(store, 'r', { who: 'ann', what: 'four' });
    const log = await readAudit(store, 'r');
    expect(log).toMatchObject({ head: { number: 4 } });
    expect(log.broken).toBeUndefined();
  });

  test('altered, unreadable, removed and inserted entries are told', async () => {
    for (const what of ['one', 'two', 'three']) await appendAudit(store, 'r', { who: 'ann', what });
    const { entries } = await readAudit(store, 'r');
    const key = (number: number) => `runs/r/audit/${number}.json`;
    await store.putDocument(key(2), { ...entries[1], who: 'bob' }, 'replace');
    expect((await readAudit(store, 'r')).broken?.number).toBe(2);
    await kind.overwrite(store, key(2), '{"half');
    expect((await readAudit(store, 'r')).broken?.number).toBe(2);
    await store.putDocument(key(2), entries[1], 'replace');
    expect((await readAudit(store, 'r')).broken).toBeUndefined();
    await store.putDocument(key(4), { ...entries[2], number: 4 }, 'replace');
    expect((await readAudit(store, 'r')).broken?.number).toBe(3);
    await store.deleteDocument(key(4));
    await store.deleteDocument(key(3));
    expect((await readAudit(store, 'r')).broken).toMatchObject({ number: 3, fault: /removed/ });
  });
});

test('two openings of one folder write one chain', async () => {
  const kind = await storeKinds[0]!.start();
  try {
    const store = await kind.fresh();
    const other = await openStore(store.uri);
    await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        appendAudit(index % 2 ? store : other, 'r', { who: `w${index}`, what: 'race' }),
      ),
    );
    const log = await readAudit(other, 'r');
    expect(log.entries).toHaveLength(8);
    expect(log.broken).toBeUndefined();
  } finally {
    await kind.stop();
  }
});
