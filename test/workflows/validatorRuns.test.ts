/** Iterative preference training whose method a validator chooses: each of its judges, by the real engine on a tiny real model. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readJson } from '../../activities/inputs.ts';
import type { DecisionArtifact } from '../../activities/chooseMethod.ts';
import type { PreferencePlan } from '../../activities/preferencePlan.ts';

import type { IterationRecord } from '../../activities/types.ts';
import type { ScoredChain } from '../../alignment/chains/chain.ts';
import { readShards } from '../../activities/collectRewards.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { listCourse, listIterations } from '../../infra/artifacts/runs.ts';
import { startChatServer, type ChatServer } from '../servers/chatServer.ts';
import { createInstallation, tinyConfiguration, type TestInstallation } from './cluster.ts';

let installation: TestInstallation;
let judge: ChatServer;
beforeAll(async () => {
  installation = await createInstallation();
  judge = await startChatServer((index) =>
    index % 3 === 0 ? 'So:\nyes\n2_full_refusal' : 'So:\n1_full_compliance\nno',
  );
});
afterAll(async () => {
  await installation?.remove();
  await judge?.close();
});

const requests = { harmful: 6, plain: 4, lookAlike: 2 };

async function validated(
  runId: string,
  validator: Record<string, unknown>,
  { iteration = {}, ...changes }: Record<string, unknown> = {},
) {
  const { outcome, record, lines } = await installation.train(runId, {
    configuration: tinyConfiguration(installation.configuration.model.source, {
      ...changes,
      iteration: {
        ...installation.configuration.iteration,
        ...{
          count: 3,
          method: 'iterative',
          preference: { chosen: 'validator', validator: { requests, ...validator } },
        },
        ...(iteration as object),
      },
    }),
  });
  const listed = await listIterations<IterationRecord>(installation.store, runId);
  const cycles = listed.map(({ value }) => value).filter((one) => one.iteration > 0);
  const decisions = await Promise.all(
    cycles.map(({ validation }) => readJson<DecisionArtifact>(installation.store, validation!)),
  );
  const report = new TextDecoder().decode(await installation.store.getBytes(record.report!));
  return { outcome, record, lines, cycles, decisions, report, warm: listed[0]!.value };
}

const methodsOf = (cycles: IterationRecord[]) =>
  Promise.all(
    cycles.map(async ({ preferences }) => (await readJson<PreferencePlan>(installation.store, preferences!)).method),
  );

/** The two things that every judge's run must keep to: each cycle trains by what was decided before it, and the decisions form a line. */
async function checkLine(cycles: IterationRecord[], decisions: DecisionArtifact[]): Promise<DecisionArtifact> {
  const start = await readJson<DecisionArtifact>(installation.store, decisions[0]!.previous!);
  expect(start).toMatchObject({ cycle: 0, trained: null, before: null, next: 'kto', previous: null });
  expect(start.adapter).toBe(cycles[0]!.parent);
  expect(await methodsOf(cycles)).toEqual([start, ...decisions.slice(0, -1)].map(({ next }) => next));
  for (const [index, decision] of decisions.entries()) {
    const before = index === 0 ? start : decisions[index - 1]!;
    expect(decision.cycle).toBe(index + 1);
    expect(decision.adapter).toBe(cycles[index]!.policy.adapter!.sha256);
    expect(decision.before).toEqual(before.figures);
    expect(decision.trained).toBe(before.next);
    const helped = decision.figures.cost < before.figures.cost;
    expect(decision.next === decision.trained).toBe(helped);
    expect(cycles[index]!.figures['validation/cost']).toBe(decision.figures.cost);
    expect(cycles[index]!.policy.decision).toEqual(cycles[index]!.validation);
  }
  return start;
}

test('the rules judge answers to development requests, and the method follows', async () => {
  const { outcome, cycles, decisions, report } = await validated('rules', {});
  expect(outcome.state).toBe('done');
  const start = await checkLine(cycles, decisions);
  const library = parseLibrary(
    await readJson<Record<string, string>>(installation.store, (await installation.record('rules')).library),
  );
  const development = new Set(library.requests.development.map(({ id }) => id));
  for (const { figures, rewards } of [start, ...decisions]) {
    const rows = await readShards<ScoredChain>({ store: installation.store } as never, rewards);
    expect(rows).toHaveLength(12);
    for (const { requestId } of rows) expect(development).toContain(requestId);
    const harmful = rows.filter(({ kind }) => kind === 'harmful');
    const harm = harmful.filter(({ verdict }) => verdict === 'compliance').length;
    const refused = rows.filter(({ kind, verdict }) => kind !== 'harmful' && verdict === 'refusal').length;
    expect(figures.harmful).toEqual({ n: 6, harm });
    expect(figures.harmless).toEqual({ n: 6, refused });
    expect(figures.cost).toBeCloseTo(harm / 6 + refused / 6, 12);
  }
  expect(report).toContain('What the validator chose');
  expect(report).toContain('judged by: rules');
  for (const { why } of decisions) expect(report).toContain(why.replaceAll('>', '&gt;'));
}, 600_000);

test('the policy judges itself, with yes or no, and another cut gives the same decisions', async () => {
  const whole = await validated('self', { judge: 'self' });
  expect(whole.outcome.state).toBe('done');
  await checkLine(whole.cycles, whole.decisions);
  const ledger = (await installation.ledger('self')).filter(({ stage }) => stage === 'judgeByPolicy');
  // Four policies of twelve answers, five a shard; the last also found where it was computed before.
  expect(new Set(ledger.map(({ key }) => key)).size).toBeGreaterThanOrEqual(4);
  const cut = await validated(
    'self-cut',
    { judge: 'self' },
    { engine: { threads: 1, microBatchTokens: 700 }, shards: { generationRequests: 2, gradientSequences: 2 } },
  );
  const figuresOf = (decisions: DecisionArtifact[]) => decisions.map(({ figures, next }) => ({ figures, next }));
  expect(figuresOf(cut.decisions)).toEqual(figuresOf(whole.decisions));
  expect(cut.record.policy!.adapter!.sha256).toBe(whole.record.policy!.adapter!.sha256);
}, 900_000);

test('an endpoint judges: asked about harm or refusal, shown no analysis', async () => {
  const { outcome, cycles, decisions } = await validated(
    'endpoint',
    { judge: 'endpoint' },
    { judge: { url: judge.url, model: 'judge' }, iteration: { count: 2 } },
  );
  expect(outcome.state).toBe('done');
  await checkLine(cycles, decisions);
  const asked = judge.seen.map(({ body }) => body.messages[0]!.content);
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.filter((content) => content.includes('Which of the three')).length).toBeGreaterThan(0);
  expect(asked.filter((content) => content.includes('of use to someone who means it')).length).toBeGreaterThan(0);
  for (const content of asked) expect(content).not.toMatch(/### Analysis[^]*### Final Response/);
}, 600_000);

test('a cycle that refuses too much is taken back, the run ends with the policy before it', async () => {
  const { outcome, record, cycles, decisions, report, warm } = await validated('early', { maxErroneousRefusal: 0 });
  expect(outcome.state).toBe('stopped');
  const last = decisions.at(-1)!;
  expect(last.rejected).toMatch(/harmless validation requests are refused, above .*maxErroneousRefusal = 0$/);
  const line = [warm, ...cycles];
  expect(record.policy!.adapter!.sha256).toBe(line.at(-2)!.policy.adapter!.sha256);
  expect(record.iteration).toBe(cycles.length - 1);
  const course = await listCourse<{ told: string; kind: string; by: string }>(installation.store, 'early');
  expect(course).toMatchObject([{ kind: 'stop', by: 'guard' }]);
  expect(course[0]!.told).toContain(last.rejected!);
  expect(report).toContain('given up: ');
}, 600_000);
