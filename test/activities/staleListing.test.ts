import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refuseStaleListing } from '../../activities/writeReport.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { listIterations, saveIteration } from '../../infra/artifacts/runs.ts';

let folder: string;
let store: ArtifactStore;
const runId = 'tiny';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-listing-'));
  store = await openStore(folder);
  for (const n of [0, 1, 2]) await saveIteration(store, runId, 0, n, { n });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('a listing that lacks the newest iteration is refused, to be read again', async () => {
  const whole = await listIterations(store, runId);
  await expect(refuseStaleListing(store, { runId, iteration: 2 }, [whole, whole])).resolves.toBeUndefined();
  await expect(refuseStaleListing(store, { runId, iteration: 2 }, [whole, whole.slice(0, -1)])).rejects.toMatchObject({
    message: expect.stringContaining('does not show iteration 2 of run tiny yet') as string,
    nonRetryable: false,
  });
});

test('an iteration of an earlier epoch, to which a run has gone back, is no reason to refuse', async () => {
  const whole = await listIterations(store, runId);
  await expect(refuseStaleListing(store, { runId, epoch: 1, iteration: 1 }, [whole])).resolves.toBeUndefined();
});
