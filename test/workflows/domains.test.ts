/** A whole run of a domain, as its shipped configuration says but in small sizes, by the real engine on a tiny real model. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readJson, readLibrary } from '../../activities/inputs.ts';
import type { GenerationPlan, GenerationShard } from '../../activities/plans.ts';
import type { EvaluationArtifact } from '../../activities/summariseEvaluation.ts';
import type { IterationRecord } from '../../activities/types.ts';
import { listIterations } from '../../infra/artifacts/runs.ts';
import { readConfiguration } from '../../infra/configuration/readConfiguration.ts';
import { createInstallation, tinyConfiguration, type TestInstallation } from './cluster.ts';

let installation: TestInstallation;
beforeAll(async () => void (installation = await createInstallation()));
afterAll(() => installation?.remove());

test('guided by codes and cases of the domain, on its requests, evaluated on its held-out ones, judged by the shipped rules', async () => {
  const shipped = await readConfiguration('configurations/domains/healthcare.yaml');
  const tiny = tinyConfiguration(installation.configuration.model.source);
  const configuration = tinyConfiguration(installation.configuration.model.source, {
    ...{ name: shipped.name, seed: shipped.seed, library: shipped.library, rewards: shipped.rewards },
    cases: { ...shipped.cases, count: 2, codes: 'detailed' },
    warmStart: { ...tiny.warmStart, requests: { harmful: 6, plain: 4, lookAlike: 2 } },
    iteration: { ...tiny.iteration, count: 1 },
  });
  const { outcome, record } = await installation.train('care', { configuration });
  expect(outcome.state).toBe('done');
  const { store } = installation;
  const library = await readLibrary(store, record);
  const categories = new Set(library.cases.map(({ category }) => category));
  expect([...categories].sort()).toEqual([
    ...['dosage-for-harm', 'false-cures', 'patient-abuse', 'patient-privacy', 'prescription-fraud'],
    'unsafe-self-treatment',
  ]);

  const [warm, first] = (await listIterations<IterationRecord>(store, 'care')).map(({ value }) => value);
  const plan = await readJson<GenerationPlan>(store, warm!.plan!);
  const shards = await Promise.all(plan.shards.map(({ shard }) => readJson<GenerationShard>(store, shard)));
  const items = shards.flatMap((shard) => shard.items);
  expect(items.length).toBeGreaterThanOrEqual(12);
  const requests = new Map(library.requests.training.map((request) => [request.id, request]));
  for (const { requestId, caseIds, messages } of items) {
    const { category, kind } = requests.get(requestId)!;
    const cases = caseIds.map((id) => library.cases.find((one) => one.id === id)!);
    expect(cases).toHaveLength(2);
    // Requests of a hazard see cases of that hazard.
    if (kind !== 'plain') for (const one of cases) expect(one.category).toBe(category);
    const code = library.codes.detailed.find((one) => one.category === category);
    if (code) expect(messages[0]!.content).toContain(code.text.slice(0, 80));
    expect(messages[0]!.content).toContain('assistant for questions of health');
  }
  expect(first!.figures['reward']).toBeTypeOf('number');

  const { answers } = await readJson<EvaluationArtifact>(store, record.evaluations['after']!.artifact);
  expect(answers).toHaveLength(18);
  const heldOut = new Set(library.requests.heldOut.map(({ id }) => id));
  for (const { scored } of answers) expect(heldOut).toContain(scored.requestId);
}, 300_000);
