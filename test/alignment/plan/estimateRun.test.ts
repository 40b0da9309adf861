import { describe, expect, it } from 'vitest';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { estimateRun } from '../../../alignment/plan/estimateRun.ts';
import { readConfiguration } from '../../../infra/configuration/readConfiguration.ts';

const estimate = (changes: Record<string, unknown> = {}) =>
  estimateRun(configurationSchema.parse({ name: 'a', ...changes }));
const stage = (name: string, changes: Record<string, unknown> = {}) =>
  estimate(changes).stages.find((one) => one.stage === name)!;
const noProbe = { evaluation: { probe: { harmful: 0, plain: 0, lookAlike: 0 } } };

describe('what a run will take', () => {
  it("counts an iteration's actions as its history has them", () => {
    // One generation and one scoring shard, four of gradients; choice, two collections, plan, update, record of the iteration, record of the run: 13
    // activities. Two for the child workflow, one more record before its stage. A heartbeat of each call of the engine (a generation shard, four of
    // gradients, the update), and one each five seconds of work.
    const { temporalActions, times, seconds } = stage('iterations', noProbe);
    const heartbeats = temporalActions / times - 16;
    expect(times).toBe(3);
    expect(heartbeats).toBeGreaterThan(6);
    expect(heartbeats).toBeLessThanOrEqual(6 + Math.ceil(seconds / times / 5));
    expect(estimate(noProbe).temporalActionsPerIteration).toBe(temporalActions / times);
    // Its number does not matter.
    expect(estimate({ ...noProbe, iteration: { count: 40 } }).temporalActionsPerIteration).toBe(
      temporalActions / times,
    );
  });

  it('counts gradients, adapters and moments as the bytes they are', () => {
    // Rank 16 on all projections of the default model: 4.88 M numbers. Four shards of gradients, the adapter and twice its moments.
    const adapter = 4_884_480 * 4;
    const { storeBytes, times } = stage('iterations', noProbe);
    expect(storeBytes / times / adapter).toBeGreaterThan(7);
    expect(storeBytes / times / adapter).toBeLessThan(7.02);
    const small = stage('iterations', { ...noProbe, lora: { rank: 4 } });
    expect(small.storeBytes).toBeLessThan(storeBytes / 3.9);
    const whole = estimate();
    expect(whole.storeBytes).toBe(whole.stages.reduce((sum, one) => sum + one.storeBytes, 0));
    expect(whole.diskBytes).toBeGreaterThan(whole.storeBytes);
  });

  it('asks a judge about each chain for a harmful request, as often as it votes, and says what that costs', () => {
    expect(estimate()).toMatchObject({ judgeCalls: 0, judgeCost: 0 });
    const judge = { url: 'http://127.0.0.1:1/v1', model: 'm', votes: 3 };
    const graded = { rewards: { graded: 1 } };
    // Warm start 96; three iterations, 4 requests of 4 chains and a probe of 16 each; 48 before, after the warm start, and after.
    const calls = 3 * (96 + 3 * (16 + 16) + 3 * 48);
    expect(estimate({ judge, ...graded })).toMatchObject({ judgeCalls: calls, judgeCost: null });
    const benchmarks = estimate({ judge, ...graded, evaluation: { benchmarks: ['xstest', 'oktest', 'advbench'] } });
    expect(benchmarks.judgeCalls).toBe(calls + 3 * 3 * (200 + 0 + 520));
    // The analysis of each refusal may be a further response.
    expect(estimate({ judge, ...graded, evaluation: { leaks: true } }).judgeCalls).toBe(2 * calls);
    expect(estimate({ evaluation: { leaks: true } }).judgeCalls).toBe(0);
    // Calls of 700 + 512 tokens.
    const priced = estimate({ judge: { ...judge, inputPrice: 1, outputPrice: 2 }, ...graded });
    expect(priced.judgeCost).toBeCloseTo((calls * (700 * 1 + 512 * 2)) / 1e6, 9);
  });

  it('lets a guard model read the responses to harmful requests, or all; an ensemble asks whom it names', () => {
    const guardModel = { source: 'Owner/guard' };
    const evaluation = { afterWarmStart: false };
    const plain = stage('evaluate before', { evaluation });
    const guarded = stage('evaluate before', { evaluation, guardModel, rewards: { guard: 1 } });
    // 48 responses of 45 + 0.8 x 112 tokens and the instruction once, at 750 tokens a second, and what a stage takes.
    const seconds = 2 + (48 * (45 + 0.8 * 112) + 280) / 750;
    expect(guarded.seconds - plain.seconds).toBeCloseTo(seconds, 9);
    expect(guarded.judgeCalls).toBe(0);
    // 9 shards, a heartbeat of each and one each 5 seconds.
    expect(guarded.temporalActions - plain.temporalActions).toBe(2 * 9 + Math.round(seconds / 5));
    const all = stage('evaluate before', {
      ...{ evaluation, guardModel: { ...guardModel, requests: 'all' }, rewards: { guard: 1 } },
    });
    expect(all.seconds - plain.seconds).toBeCloseTo(2 + (144 * (45 + 0.8 * 112) + 280) / 750, 9);

    const judge = { url: 'http://127.0.0.1:1/v1', model: 'm' };
    const graded = estimate({ judge, rewards: { graded: 1 } });
    const ensemble = { judges: ['rules', 'rubric'] };
    expect(estimate({ judge, rewards: { ensemble: 1 }, ensemble }).judgeCalls).toBe(graded.judgeCalls);
    expect(estimate({ judge, rewards: { ensemble: 1 }, ensemble: { judges: ['rules'] } }).judgeCalls).toBe(0);
  });

  it('asks a teacher for each chain, and in a deliberation once a phase; the policy then writes nothing', () => {
    const teacher = { url: 'http://127.0.0.1:1/v1', model: 'm', inputPrice: 1, outputPrice: 2, maxTokens: 100 };
    expect(estimate({ teacher })).toMatchObject({ teacherCalls: 0, teacherCost: 0 });
    const byTeacher = estimate({ teacher, warmStart: { source: 'teacher' } });
    // 192 calls of 760 + 100 tokens.
    expect(byTeacher.teacherCalls).toBe(192);
    expect(byTeacher.teacherCost).toBeCloseTo((192 * (760 * 1 + 100 * 2)) / 1e6, 9);
    const self = stage('warm start');
    const taught = stage('warm start', { teacher, warmStart: { source: 'teacher' } });
    expect(taught).toMatchObject({ chains: self.chains, generatedTokens: 0, trainedTokens: self.trainedTokens });
    const limited = stage('warm start', {
      teacher: { ...teacher, requestsPerMinute: 1 },
      warmStart: { source: 'teacher' },
    });
    expect(limited.seconds - taught.seconds).toBeCloseTo(192 * 60 - (192 * 4) / 4, 6);

    // Intents, draft, two rounds, refiner; questions quote what was written before.
    const deliberation = { by: 'teacher', rounds: 2 };
    const deliberated = estimate({ teacher, warmStart: { source: 'deliberation', deliberation } });
    expect(deliberated.teacherCalls).toBe(5 * 192);
    expect(deliberated.teacherCost).toBeCloseTo((5 * 192 * (860 + 200)) / 1e6, 9);
  });

  it('writes as often as it has phases where the policy deliberates by itself', () => {
    const deliberation = { rounds: 2 };
    const self = stage('warm start');
    const deliberated = stage('warm start', { warmStart: { source: 'deliberation', deliberation } });
    expect(deliberated.generatedTokens).toBe(5 * self.generatedTokens);
    expect(deliberated.chains).toBe(self.chains);
    expect(deliberated.seconds).toBeGreaterThan(3 * self.seconds - 2 * (self.trainedTokens / 285));
    expect(estimate({ warmStart: { source: 'deliberation' } }).teacherCalls).toBe(0);
  });

  it("comes near what the demo's run was counted to use", async () => {
    const demo = await readConfiguration('configurations/demo.yaml');
    const { storeRequests, temporalActions } = estimateRun(demo);
    // By the report's own rows: 1,297 requests; 398 actions, 206 of them heartbeats.
    expect(storeRequests / 1297).toBeGreaterThan(0.8);
    expect(storeRequests / 1297).toBeLessThan(1.25);
    expect(temporalActions / 398).toBeGreaterThan(0.8);
    expect(temporalActions / 398).toBeLessThan(1.25);
  });

  it('adds its stages up', () => {
    const { stages, seconds, generatedTokens, trainedTokens, storeRequests, temporalActions } = estimate();
    const sum = (of: (one: (typeof stages)[number]) => number) => stages.reduce((all, one) => all + of(one), 0);
    expect({ seconds, generatedTokens, trainedTokens, storeRequests, temporalActions }).toEqual({
      seconds: sum((one) => one.seconds),
      generatedTokens: sum((one) => one.generatedTokens),
      trainedTokens: sum((one) => one.trainedTokens),
      storeRequests: sum((one) => one.storeRequests),
      temporalActions: sum((one) => one.temporalActions),
    });
  });
});
