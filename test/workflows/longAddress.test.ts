/** A whole run, release and roll-over included, over a store with a long address: payloads stay small, and what is recorded has whole references. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keepHistories } from '../../activities/histories.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { listHistories, listIterations, loadHistory } from '../../infra/artifacts/runs.ts';
import type { IterationRecord } from '../../activities/types.ts';
import { makeScored } from '../alignment/makeChain.ts';
import { readEvents, type HistoryJson } from './historyEvents.ts';
import { instantConfiguration, startInstantCluster, type InstantCluster } from './instantStages.ts';

/** With the folder before it as long as the address of a bucket may be, and a prefix of 200 characters. */
const storeFolder = `${'teams/'.repeat(38)}store`;
let cluster: InstantCluster;
beforeAll(async () => {
  cluster = await startInstantCluster({
    storeFolder,
    dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 60 },
  });
}, 120_000);
afterAll(() => cluster?.stop());

test('payloads of a run stay below 4096 bytes, and its records name the store', async () => {
  expect(cluster.store.uri.length).toBeGreaterThan(250);
  cluster.script.answers = () =>
    Array.from({ length: 10 }, (_, i) => ({
      scored: makeScored(`h${i}`, { kind: 'harmful', verdict: i < 8 ? 'refusal' : 'compliance' }),
    }));
  const release = { criteria: [{ figure: 'refusal/harmful', atLeast: 0.5 }] };
  const configuration = configurationSchema.parse({ ...instantConfiguration({ count: 12 }), release });
  await (await cluster.start('far', configuration)).result();
  await keepHistories(cluster.client, cluster.store, 'far');
  const names = await listHistories(cluster.store, 'far');
  expect(names.filter((name) => name.startsWith('run.')).length).toBeGreaterThan(1);
  let shortened = 0;
  for (const name of names) {
    const history = (await loadHistory<HistoryJson>(cluster.store, 'far', name))!;
    const { largest } = readEvents(history);
    expect(largest.bytes, `${name}, ${largest.of}`).toBeLessThanOrEqual(4096);
    shortened += JSON.stringify(history).split('"cada-stores"').length - 1;
  }
  expect(shortened).toBeGreaterThan(0);

  const record = await cluster.record('far');
  expect(record).toMatchObject({ state: 'done', iteration: 12, release: { status: 'promoted' } });
  const iterations = await listIterations<IterationRecord>(cluster.store, 'far');
  expect(iterations).toHaveLength(13);
  for (const { uri, sha256 } of [record.policy!.adapter!, ...iterations.map(({ value }) => value.policy.adapter!)]) {
    expect(uri).toBe(`${cluster.store.uri}/objects/${sha256}`);
  }
}, 240_000);
