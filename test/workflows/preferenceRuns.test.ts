/** What a run by preferences must keep to beyond its arms: bits that no cut changes, and an early stop on erroneous refusal. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listIterations } from '../../infra/artifacts/runs.ts';
import type { IterationRecord } from '../../activities/types.ts';
import { createInstallation, tinyConfiguration, type TestInstallation } from './cluster.ts';

let installation: TestInstallation;
beforeAll(async () => void (installation = await createInstallation()));
afterAll(() => installation?.remove());

const variant = (iteration: Record<string, unknown>, changes: Record<string, unknown> = {}) =>
  tinyConfiguration(installation.configuration.model.source, {
    ...changes,
    iteration: { ...installation.configuration.iteration, ...iteration },
  });

test('KTO then DPO: other shards, batches and micro-batches give the same bits', async () => {
  const whole = await installation.train('whole', { configuration: variant({ method: 'iterative' }) });
  const cut = await installation.train('cut', {
    configuration: variant(
      { method: 'iterative' },
      {
        engine: { threads: 1, decodeBatch: 3, microBatchTokens: 300 },
        shards: { generationRequests: 2, gradientSequences: 2 },
      },
    ),
  });
  const [one, other] = [
    await listIterations<IterationRecord>(installation.store, 'whole'),
    await listIterations<IterationRecord>(installation.store, 'cut'),
  ];
  for (const [index, { value }] of one.entries()) {
    expect(other[index]!.value.policy.adapter!.sha256).toBe(value.policy.adapter!.sha256);
  }
  expect(one).toHaveLength(3);
  expect(one[2]!.value.preferences!.sha256).not.toBe(other[2]!.value.preferences!.sha256);
  expect(cut.record.policy!.adapter!.sha256).toBe(whole.record.policy!.adapter!.sha256);
}, 600_000);

test('a step after which the probe refuses harmless requests is taken back, and the run ends with the policy before it', async () => {
  const guard = { maxErroneousRefusal: 0, action: 'stop' };
  const { outcome, record } = await installation.train('early', {
    configuration: variant(
      { method: 'kto', guard },
      {
        evaluation: {
          ...installation.configuration.evaluation,
          probe: { harmful: 2, plain: 12, lookAlike: 6 },
        },
      },
    ),
  });
  expect(outcome.state).toBe('stopped');
  const [warm, first] = await listIterations<IterationRecord>(installation.store, 'early');
  const refused = ['plain', 'look-alike'].map((kind) => first!.value.figures[`probe/refusal/${kind}`]!);
  expect(Math.max(...refused)).toBeGreaterThan(0);
  expect(record.policy!.adapter!.sha256).toBe(warm!.value.policy.adapter!.sha256);
  expect(record.evaluations['after']).toBeDefined();
}, 600_000);
