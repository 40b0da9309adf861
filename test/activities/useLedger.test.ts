import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Context } from '@temporalio/activity';
import { afterEach, expect, test, vi } from 'vitest';
import { createUseLedger, sentHeartbeats } from '../../activities/useLedger.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { loadUse, saveUse } from '../../infra/artifacts/use.ts';
import { eventually } from '../servers/temporalServer.ts';

afterEach(() => {
  vi.useRealTimers();
});

const newStore = (): Promise<ArtifactStore> => openStore(mkdtempSync(join(tmpdir(), 'cada-use-')));

/** What the ledger takes of an activity's context; its heartbeats are counted. */
function activityOf(workflowId: string) {
  const told = { heartbeats: 0 };
  const context = {
    info: { workflowExecution: { workflowId, runId: 'execution' } },
    heartbeat: () => void (told.heartbeats += 1),
  } as unknown as Context;
  return { context, told };
}

test('heartbeats are sent at once, then at most every five seconds, the newest held one at the end of the time', () => {
  const sent = sentHeartbeats(5000);
  // 1000 and 4000 are held until 5000; 6000 tells that, and is held until 10000; 10500 tells that, and is held; 30000 tells of 15000 and goes at once.
  expect([0, 1000, 4000, 6000, 10_500, 30_000].map(sent)).toEqual([1, 0, 0, 1, 1, 2]);
});

test("an activity's requests and heartbeats count for its run, also where it fails, and all are heard by the SDK", async () => {
  const store = await newStore();
  const ledger = createUseLedger(store, 'gpu');
  const { context, told } = activityOf('demo/iteration-3');
  const failing = ledger.during(context, async () => {
    context.heartbeat();
    const ref = await store.putBytes('some', 'data');
    await Promise.all([store.getBytes(ref), store.has(ref)]);
    context.heartbeat();
    throw new Error('no room');
  });
  await expect(failing).rejects.toThrow('no room');
  // Of nobody: outside of an activity.
  await store.putBytes('other', 'data');
  await ledger.during(activityOf('other').context, () => store.getDocument('runs/other/run.json'));
  expect(told.heartbeats).toBe(2);
  expect(await ledger.total('demo')).toEqual({ storeRequests: 3, heartbeats: 1 });
});

test('the counts of all processes are added up, each in the store soon after an activity', async () => {
  const store = await newStore();
  const [control, gpu] = [createUseLedger(store, 'control'), createUseLedger(store, 'gpu')];
  await gpu.during(activityOf('demo').context, () => store.putBytes('some', 'data'));
  expect(await loadUse(store, 'demo')).toBeUndefined();
  await eventually('it is in the store', async () => (await loadUse(store, 'demo')) !== undefined);
  const total = await control.during(activityOf('demo').context, async () => {
    await store.putBytes('other', 'data');
    return control.total('demo');
  });
  // A put of each, and what it takes to keep this process's count.
  expect(total).toEqual({ storeRequests: 3, heartbeats: 0 });
});

test('a store that fails when counts are to be kept disturbs nobody', async () => {
  const store = await newStore();
  const ledger = createUseLedger(store, 'gpu');
  let tried = 0;
  vi.spyOn(store, 'putDocument').mockImplementation(() => {
    tried += 1;
    return Promise.reject(new Error('no room'));
  });
  expect(await ledger.during(activityOf('demo').context, () => Promise.resolve('done'))).toBe('done');
  await eventually('the store was asked', () => Promise.resolve(tried > 0));
});

test('a damaged count is left out', async () => {
  const store = await newStore();
  await saveUse(store, 'demo', 'gpu-1', { storeRequests: 5, heartbeats: 1 });
  await store.putDocument('use/demo/gpu-2.json', null, 'replace');
  await store.putDocument('use/demo/gpu-3.json', { storeRequests: 'many', heartbeats: 1 }, 'replace');
  writeFileSync(fileURLToPath(`${store.uri}/use/demo/gpu-4.json`), '{"storeRequests":');
  expect(await loadUse(store, 'demo')).toEqual({ storeRequests: 5, heartbeats: 1 });
});
