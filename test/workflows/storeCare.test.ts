/** Care of the store around real runs: what rots is computed again when the run is resumed, and `cada gc` beside a run at work takes nothing that it needs. */
import { readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findGarbage, removeGarbage } from '../../infra/artifacts/garbage.ts';
import { listIterations } from '../../infra/artifacts/runs.ts';
import { verifyRun } from '../../infra/artifacts/verify.ts';
import { runFolders } from '../../infra/paths.ts';
import { readJson } from '../../activities/inputs.ts';
import type { ShardList } from '../../activities/plans.ts';
import type { IterationRecord } from '../../activities/types.ts';
import { createInstallation, type TestInstallation } from './cluster.ts';
import { computedAgain } from './ledger.ts';

const iteration = {
  ...{ count: 2, requests: { harmful: 2, plain: 1, lookAlike: 1 }, samplesPerRequest: 4 },
  ...{ klReference: 'base', learningRate: 3e-4 },
};
const DAY = 24 * 3600_000;

let installation: TestInstallation;
beforeAll(async () => {
  installation = await createInstallation({
    ...{ warmStart: { enabled: false }, iteration },
    evaluation: {
      requests: { harmful: 2, plain: 2, lookAlike: 0 },
      probe: { harmful: 1, plain: 0, lookAlike: 0 },
      bootstrapSamples: 100,
    },
  });
}, 60_000);
afterAll(() => installation?.remove());

const iterationsOf = async (runId: string): Promise<IterationRecord[]> =>
  (await listIterations<IterationRecord>(installation.store, runId)).map(({ value }) => value);

test('an adapter and chains that rot while a run is stopped are found, and computed again when it is resumed', async () => {
  const { store, home } = installation;
  const runId = 'rotten';
  const stop = new AbortController();
  const ended = installation.train(runId, {
    signal: stop.signal,
    onSnapshot: ({ iteration: begun }) => begun >= 2 && stop.abort(),
  });
  expect((await ended).outcome.state).toBe('running');
  // The server's database goes too: all that is left is what the store says.
  await rm(runFolders(home, runId).temporalDatabase, { force: true });

  const [first] = await iterationsOf(runId);
  const chains = (await readJson<ShardList>(store, first!.chains!)).shards[0]!.artifact;
  const rotten = [chains, first!.policy.adapter!];
  for (const { sha256, bytes } of rotten)
    await writeFile(join(fileURLToPath(store.uri), 'objects', sha256), 'x'.repeat(bytes));
  const digests = rotten.map(({ sha256 }) => sha256).sort();
  const found = await verifyRun(store, runId, { repair: true });
  expect(found.damages.map(({ name, fault }) => [name, fault]).sort()).toEqual(digests.map((one) => [one, 'rotten']));
  expect([...found.removed].sort()).toEqual(digests);
  const before = (await installation.ledger(runId)).length;

  const { outcome, record, lines } = await installation.train(runId);
  expect(lines.join('\n')).toContain('it goes through its stages again');
  expect(outcome.state).toBe('done');
  // The same digests: what was computed again is what was there.
  expect(record.iteration).toBe(2);
  expect((await iterationsOf(runId))[0]!.policy.adapter!.sha256).toBe(first!.policy.adapter!.sha256);
  expect((await verifyRun(store, runId)).damages).toEqual([]);
  // Of what was finished only what had rotten: the shard of chains, and the step that made the adapter.
  const finished = new Set(
    (await installation.ledger(runId)).slice(0, before).flatMap((one) => (one.msg === 'has' ? one.key : [])),
  );
  const again = computedAgain((await installation.ledger(runId)).filter(({ key }) => finished.has(key)));
  expect(again.sort()).toEqual(['generateChains', 'updatePolicy']);
}, 400_000);

test('garbage is collected again and again beside a run at work, whose work of an earlier run is old: it misses nothing', async () => {
  const { store } = installation;
  const earlier = (await installation.record('rotten')).policy!.adapter!.sha256;
  const objects = join(fileURLToPath(store.uri), 'objects');
  const long = new Date(Date.now() - 30 * DAY);
  // The earlier run is forgotten, and all it made is older than the lease.
  for await (const key of store.listDocuments('runs/rotten/')) await store.deleteDocument(key);
  for (const name of await readdir(objects)) await utimes(join(objects, name), long, long);
  for await (const key of store.listDocuments('steps/')) {
    const { value, etag } = (await store.getDocument<{ producedBy: object }>(key))!;
    const producedBy = { ...value.producedBy, startedAt: long.toISOString() };
    await store.putDocument(key, { ...value, producedBy }, { ifMatch: etag });
  }

  let over = false;
  const passes: { atWork: boolean; removed: number }[] = [];
  const collecting = (async () => {
    for (; !over; await sleep(300)) {
      // While the run is about to begin it may all be garbage: that is another case.
      if (!(await installation.record('live'))) continue;
      const garbage = await findGarbage(store, { olderThanMs: 7 * DAY });
      expect(garbage.refusals).toEqual([]);
      const { objects: gone, steps } = await removeGarbage(store, garbage);
      passes.push({ atWork: garbage.runs[0]!.state === 'running', removed: gone + steps });
    }
  })();
  const configuration = {
    ...installation.configuration,
    iteration: { ...installation.configuration.iteration, count: 3 },
  };
  const { outcome, record } = await installation.train('live', { configuration }).finally(() => (over = true));
  await collecting;
  expect(outcome.state).toBe('done');
  expect(record.iteration).toBe(3);
  expect((await iterationsOf('live'))[1]!.policy.adapter!.sha256).toBe(earlier);
  expect((await verifyRun(store, 'live')).damages).toEqual([]);
  expect(passes.filter(({ atWork }) => atWork).length).toBeGreaterThan(5);
  expect(passes.reduce((sum, { removed }) => sum + removed, 0)).toBeGreaterThan(0);
  expect(computedAgain(await installation.ledger('live'))).toEqual([]);
}, 400_000);
