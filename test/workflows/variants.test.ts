/** Whole runs of a tiny real model with settings that the demo leaves off: every weight trained, chains drawn with weights in 8 bits. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deliver } from '../../cli/operate/delivery.ts';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import { expectedTensors, openModel } from '../../engine/model/weights.ts';
import { sha256OfFile } from '../../infra/artifacts/digest.ts';
import { listIterations } from '../../infra/artifacts/runs.ts';
import { readJson, readLines } from '../../activities/inputs.ts';
import type { ShardList } from '../../activities/plans.ts';
import type { IterationRecord } from '../../activities/types.ts';
import type { ChainRecord } from '../../alignment/chains/chain.ts';
import { createInstallation, tinyConfiguration, type TestInstallation } from './cluster.ts';

let installation: TestInstallation;
beforeAll(async () => void (installation = await createInstallation()));
afterAll(() => installation?.remove());

const variant = (changes: Record<string, unknown>) =>
  tinyConfiguration(installation.configuration.model.source, changes);

test('every weight trained: all tensors change, the merged folder holds them, small batches give the same bits', async () => {
  const { outcome, record } = await installation.train('full', { configuration: variant({ trained: 'all' }) });
  expect(outcome.state).toBe('done');
  const iterations = await listIterations<IterationRecord>(installation.store, 'full');
  expect(iterations[1]!.value.figures['kl']).toBeCloseTo(0, 5);
  expect(iterations[2]!.value.figures['kl']).toBeGreaterThan(1e-6);

  const { adapter, merged } = await deliver({
    runId: 'full',
    storeUri: installation.store.uri,
    home: installation.home,
  });
  expect(adapter).toBeUndefined();
  const base = await openModel(installation.configuration.model.source);
  const trained = await readSafetensors(join(merged!, 'model.safetensors'));
  expect([...trained.tensors.keys()].sort()).toEqual([...expectedTensors(base.config).keys()].sort());
  for (const name of trained.tensors.keys()) {
    const [before, after] = [await base.readTensor(name), await trained.readFloat32(name)];
    expect(Math.max(...after.map((value, i) => Math.abs(value - before[i]!))), name).toBeGreaterThan(0);
  }
  await base.close();
  await trained.close();
  expect((await sha256OfFile(join(merged!, 'model.safetensors'))).sha256).toBe(record.policy!.adapter!.sha256);

  const fresh = await createInstallation();
  try {
    const configuration = tinyConfiguration(fresh.configuration.model.source, {
      trained: 'all',
      engine: { threads: 1, decodeBatch: 3, microBatchTokens: 300 },
      shards: { generationRequests: 2, gradientSequences: 2 },
    });
    const again = await fresh.train('again', { configuration });
    expect(again.record.policy!.adapter!.sha256).toBe(record.policy!.adapter!.sha256);
  } finally {
    await fresh.remove();
  }
}, 900_000);

test('chains of 8-bit weights are weighed by what they were drawn from: nearly on policy, the ratio is near 1 but not 1', async () => {
  const iteration = { ...installation.configuration.iteration, generationWeights: 'eightBit' };
  const { outcome, record } = await installation.train('eight-bit', { configuration: variant({ iteration }) });
  expect(outcome.state).toBe('done');
  const other = await installation.train('float32', { configuration: variant({}) });
  expect(other.outcome.state).toBe('done');
  // The same warm start, other chains in the iterations.
  const [rounded, exact] = [
    await listIterations<IterationRecord>(installation.store, 'eight-bit'),
    await listIterations<IterationRecord>(installation.store, 'float32'),
  ];
  expect(rounded[0]!.value.policy.adapter!.sha256).toBe(exact[0]!.value.policy.adapter!.sha256);
  expect(rounded[1]!.value.policy.adapter!.sha256).not.toBe(exact[1]!.value.policy.adapter!.sha256);
  expect(record.policy!.adapter!.sha256).not.toBe(other.record.policy!.adapter!.sha256);
}, 900_000);

test('groups without signal are refilled by groups of further requests, which the lineage keeps', async () => {
  const iteration = { ...installation.configuration.iteration, count: 1, skipUniform: true, refillRounds: 2 };
  const { outcome, record } = await installation.train('refill', { configuration: variant({ iteration }) });
  expect(outcome.state).toBe('done');
  const [, one] = await listIterations<IterationRecord>(installation.store, 'refill');
  expect(one!.value.refills!.length).toBeGreaterThan(0);
  expect(one!.value.figures['refill_rounds']).toBe(one!.value.refills!.length);
  const ids = new Set<string>();
  let groups = 0;
  for (const { chains } of [one!.value, ...one!.value.refills!]) {
    const own = new Set<string>();
    const list = await readJson<ShardList>(installation.store, chains!);
    for (const { artifact } of list.shards)
      for (const { requestId } of await readLines<ChainRecord>(installation.store, artifact)) own.add(requestId);
    groups += own.size;
    for (const id of own) ids.add(id);
  }
  // No request twice.
  expect(ids.size).toBe(groups);
  expect(groups).toBeGreaterThan(6);
  expect(record.policy!.adapter).toBeDefined();
}, 900_000);
