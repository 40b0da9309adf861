/** Every shipped training arm, as its file says but in small sizes: a whole run by the real engine on a tiny real model. */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readJson, readLines } from '../../activities/inputs.ts';
import type { GenerationItem, GenerationPlan, GenerationShard, GradientShard } from '../../activities/plans.ts';
import type { OptimisationPlan, ShardList } from '../../activities/plans.ts';
import type { PreferencePlan } from '../../activities/preferencePlan.ts';
import type { IterationRecord } from '../../activities/types.ts';
import { parseChain, type ChainRecord, type ScoredChain } from '../../alignment/chains/chain.ts';
import { configurationSchema, type Configuration, type RequestCounts } from '../../alignment/configuration/schema.ts';
import { readConfiguration } from '../../infra/configuration/readConfiguration.ts';
import { listIterations } from '../../infra/artifacts/runs.ts';
import { startChatServer, type ChatServer } from '../servers/chatServer.ts';
import { createInstallation, type TestInstallation } from './cluster.ts';
import { startTeacher } from './teacher.ts';

const arms = readdirSync('configurations/arms').map((file) => file.replace('.yaml', ''));
const sft = ['sft-cases', 'sft-codes', 'sft-refusal', 'sft-simple', 'aidsafe', 'teacher'];
const preferring = ['dpo', 'kto', 'iterative', 'iterative-validator'];
const withCodes = ['da', 'da-outcome', 'sft-codes', 'sft-simple'];

let installation: TestInstallation;
let judge: ChatServer;
let teacher: ChatServer;
beforeAll(async () => {
  installation = await createInstallation();
  // Grades that differ from one question to the next, so that groups have signal.
  judge = await startChatServer((index) => `Well.\n#1. ${index % 2}\n#2. ${1 + (index % 5)}\n#3. 3`);
  teacher = await startTeacher();
});
afterAll(async () => {
  await installation?.remove();
  await judge?.close();
  await teacher?.close();
});

const few = ({ harmful, plain, lookAlike }: RequestCounts, most: number): RequestCounts => ({
  ...{ harmful: Math.min(harmful, most + 1), plain: Math.min(plain, most), lookAlike: Math.min(lookAlike, 1) },
});

/** The arm with the tiny model, few requests and short chains. */
async function tinyArm(name: string): Promise<Configuration> {
  const arm = await readConfiguration(`configurations/arms/${name}.yaml`, {
    CADA_JUDGE_URL: judge.url,
    CADA_JUDGE_MODEL: 'judge',
  });
  const { keepPerKind: _, ...warmStart } = arm.warmStart;
  return configurationSchema.parse({
    ...arm,
    model: { source: installation.configuration.model.source, fallback: false },
    engine: { threads: 1, microBatchTokens: 2048 },
    chain: { ...arm.chain, maxNewTokens: 10 },
    cases: { ...arm.cases, count: Math.min(arm.cases.count, 2) },
    lora: { rank: 4, alpha: 8 },
    // The tiny model's analyses are all the same.
    warmStart: {
      ...warmStart,
      ...{ consistent: false, requests: few(warmStart.requests, 4), temperature: 1, epochs: 1, learningRate: 3e-4 },
    },
    iteration: {
      ...arm.iteration,
      ...{ count: Math.min(arm.iteration.count, 2), requests: few(arm.iteration.requests, 2), learningRate: 3e-4 },
      ...(arm.iteration.preference?.validator
        ? {
            preference: {
              ...arm.iteration.preference,
              validator: { ...arm.iteration.preference.validator, maxErroneousRefusal: 1 },
            },
          }
        : {}),
      ...(arm.iteration.guard ? { guard: { ...arm.iteration.guard, maxErroneousRefusal: 1 } } : {}),
    },
    ...(arm.teacher ? { teacher: { ...arm.teacher, url: teacher.url } } : {}),
    evaluation: {
      ...{ requests: { harmful: 2, plain: 2, lookAlike: 2 }, probe: { harmful: 1, plain: 1, lookAlike: 0 } },
      ...{ afterWarmStart: false, bootstrapSamples: 50 },
    },
    shards: { generationRequests: 6, gradientSequences: 4 },
  });
}

async function itemsOf({ plan }: IterationRecord): Promise<GenerationItem[]> {
  const { shards } = await readJson<GenerationPlan>(installation.store, plan!);
  const read = ({ shard }: (typeof shards)[number]) => readJson<GenerationShard>(installation.store, shard);
  return (await Promise.all(shards.map(read))).flatMap(({ items }) => items);
}

async function rows<T>(list: IterationRecord['chains']): Promise<T[]> {
  const { shards } = await readJson<ShardList>(installation.store, list!);
  return (await Promise.all(shards.map(({ artifact }) => readLines<T>(installation.store, artifact)))).flat();
}

async function trainedSequences({ updatePlan }: IterationRecord): Promise<GradientShard['sequences']> {
  const { steps } = await readJson<OptimisationPlan>(installation.store, updatePlan!);
  const shards = steps.flatMap((step) => step.shards);
  return (await Promise.all(shards.map((ref) => readJson<GradientShard>(installation.store, ref)))).flatMap(
    ({ sequences }) => sequences,
  );
}

const isGuided = ({ guidance }: GenerationItem) => guidance === 'cases';

describe.each(arms)('%s', (name) => {
  let configuration: Configuration;
  let records: IterationRecord[];
  let report: string;

  beforeAll(async () => {
    configuration = await tinyArm(name);
    const { outcome, record } = await installation.train(name, { configuration });
    expect(outcome.state).toBe('done');
    const listed = await listIterations<IterationRecord>(installation.store, name);
    records = listed.map(({ value }) => value);
    expect(record.policy!.adapter!.sha256).toBe(records.at(-1)!.policy.adapter!.sha256);
    report = new TextDecoder().decode(await installation.store.getBytes(record.report!));
  }, 600_000);

  test('trains what its name says, and nothing that it does not', () => {
    const { warmStart, iteration } = configuration;
    expect(configuration.name).toBe(name);
    expect(warmStart.enabled).toBe(name !== 'rl-only');
    expect(records.map((record) => record.iteration)).toEqual([
      ...(warmStart.enabled ? [0] : []),
      ...(sft.includes(name) ? [] : [1, 2]),
    ]);
    expect(iteration.method).toBe(preferring.find((method) => method === name)?.split('-')[0]);
    // Each stage starts from the one before and changes it.
    const adapters = records.map(({ policy }) => policy.adapter!.sha256);
    expect(new Set(adapters).size).toBe(adapters.length);
    for (const [index, record] of records.entries()) {
      if (index > 0) expect(record.parent).toBe(adapters[index - 1]);
      expect(record.figures['grad_norm']).toBeGreaterThan(0);
    }
  });

  test('its prompts hold the codes and cases of the arm, its training none of them', async () => {
    for (const record of records) {
      const items = await itemsOf(record);
      const { codes } = configuration.cases;
      if (record.iteration === 0) expect(items.every(isGuided)).toBe(name !== 'sft-refusal');
      else {
        const guided = items.filter(isGuided).length;
        const half = items.length / 2;
        expect(guided).toBe({ raw: 0, cases: items.length, mixed: half }[configuration.iteration.guidance]);
      }
      for (const item of items.filter(isGuided)) {
        expect(item.caseIds).toHaveLength(withCodes.includes(name) ? 0 : 2);
        const [system] = item.messages;
        expect(system!.role).toBe('system');
        expect(system!.content.length > 2500).toBe(codes === 'detailed');
      }
      const chains = await rows<ChainRecord>(record.chains);
      const prompts = new Set(chains.map(({ promptTokens }) => promptTokens.join()));
      for (const { promptTokens } of await trainedSequences(record)) expect(prompts).toContain(promptTokens.join());
    }
  });

  test('its requests are of the kinds that the arm trains on', async () => {
    for (const record of records) {
      const kinds = new Set((await rows<ScoredChain>(record.rewards)).map(({ kind }) => kind));
      expect([...kinds].sort()).toEqual(name === 'cada' ? ['harmful'] : ['harmful', 'look-alike', 'plain']);
    }
  });

  if (name === 'sft-refusal')
    test('learns one refusal and its own answers', async () => {
      const [record] = records;
      const chains = await rows<ChainRecord>(record!.chains);
      const scored = await rows<ScoredChain>(record!.rewards);
      const refusals = chains.filter((_chain, index) => scored[index]!.kind === 'harmful');
      expect(new Set(refusals.map(({ text }) => text))).toEqual(new Set([configuration.warmStart.refusal]));
      expect(refusals).toHaveLength(configuration.warmStart.requests.harmful);
      // All of them are refusals to the judge, so all are kept; each ends as a turn ends.
      expect(record!.figures['warm_start/harmful/kept']).toBe(refusals.length);
      const sequences = await trainedSequences(record!);
      const refused = new Set(refusals.map(({ tokens }) => tokens.join()));
      expect(sequences.filter(({ completionTokens }) => refused.has(completionTokens.join()))).toHaveLength(
        refusals.length,
      );
      expect(sequences.length).toBe(record!.figures['warm_start/kept']);
      // What the tiny model answers is too little for the judge: nothing else takes it out, neither form nor length.
      expect(record!.figures['warm_start/plain/dropped_outcome']).toBe(record!.figures['warm_start/plain/seen']);
      expect(chains.length).toBeGreaterThan(refusals.length);
      const sampled = chains.find(({ finishReason, logProbs }) => finishReason === 'stop' && logProbs.length > 0)!;
      expect(refusals[0]!.tokens.at(-1)).toBe(sampled.tokens.at(-1));
    });

  if (name === 'da')
    test('its judge is shown the codes of the category and the final response, never the analysis', async () => {
      const asked = judge.seen.map(({ body }) => body.messages[0]!.content);
      expect(asked.length).toBeGreaterThan(0);
      const responses = asked.map((content) => /<response>\n([^]*)\n<\/response>/.exec(content)?.[1]);
      for (const content of asked) {
        expect(content).toMatch(/^The model should follow these codes:\n<codes>\n[^]{2000,}<\/codes>\n/);
        // A chain without its second heading is all final response; of any other the judge has not seen the first part.
        expect(content).not.toMatch(/### Analysis[^]*### Final Response/);
      }
      const chains = await rows<ChainRecord>(records[1]!.chains);
      const scored = await rows<ScoredChain>(records[1]!.rewards);
      for (const [index, { kind, parts, format }] of scored.entries()) {
        expect('graded' in parts).toBe(kind === 'harmful');
        const { finalResponse } = parseChain(chains[index]!.text, configuration.chain);
        if (kind === 'harmful' && format) expect(responses).toContain(finalResponse);
      }
      expect(scored.filter(({ kind, format }) => kind === 'harmful' && format).length).toBeGreaterThan(0);
    });

  if (preferring.includes(name))
    test('prefers by reward: pairs or labels, two passes, figures in the report', async () => {
      for (const { iteration, preferences, figures, rewards, ...record } of records.slice(1)) {
        const plan = await readJson<PreferencePlan>(installation.store, preferences!);
        // A validator's second method is its own choice: validatorRuns.test.ts.
        if (name !== 'iterative-validator' || iteration === 1)
          expect(plan.method).toBe(name.startsWith('iterative') ? (iteration === 1 ? 'kto' : 'dpo') : name);
        const scored = new Map(
          (await rows<ScoredChain>(rewards)).map((row) => [`${row.requestId}/${row.sampleIndex}`, row]),
        );
        const sequences = await trainedSequences({ iteration, figures, rewards, ...record });
        const weightOf = (id: string) => sequences.find((sequence) => sequence.id === id)!.weight as number;
        if (plan.method === 'dpo') {
          expect(plan.pairs.length).toBeGreaterThan(0);
          for (const { chosen, rejected } of plan.pairs) {
            expect(scored.get(chosen)!.requestId).toBe(scored.get(rejected)!.requestId);
            expect(scored.get(chosen)!.reward).toBeGreaterThan(scored.get(rejected)!.reward!);
            // Towards the chosen, away from the rejected, equally.
            expect(weightOf(chosen)).toBeGreaterThan(0);
            expect(weightOf(rejected)).toBe(-weightOf(chosen));
          }
          expect(figures['preference/pairs']).toBe(plan.pairs.length);
        } else {
          expect(plan.labelled).toHaveLength(scored.size);
          expect(plan.mismatched).toHaveLength(scored.size);
          for (const { id, desirable } of plan.labelled) expect(Math.sign(weightOf(id))).toBe(desirable ? 1 : -1);
        }
        if (iteration === 1) {
          // The policy is its own reference: no margin yet.
          expect(figures['preference/loss']).toBeCloseTo(plan.method === 'dpo' ? Math.LN2 : 0.5, 6);
          expect(figures['kl']).toBe(0);
          const share = sequences.map(({ weight }) => Math.abs(weight as number));
          const wanted = plan.method === 'dpo' ? 0.1 / 2 / plan.pairs.length : 0.1 / 4 / plan.labelled.length;
          for (const weight of share) expect(weight).toBeCloseTo(wanted, 9);
        } else {
          expect(figures['kl']).toBeGreaterThan(0);
          expect(figures['preference/margin']).not.toBe(0);
        }
      }
      expect(report).toContain('Preference loss');
      expect(report).toContain('preferences <code>');
    });
});
