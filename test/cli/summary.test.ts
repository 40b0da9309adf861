import { describe, expect, test } from 'vitest';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { commandName, repeatedCommand } from '../../cli/commandName.ts';
import type { RunSummary } from '../../cli/operations.ts';
import { estimateRun } from '../../alignment/plan/estimateRun.ts';
import { measuredRates } from '../../alignment/plan/measuredRates.ts';
import { createRunTimeLeft } from '../../cli/progress/runTimeLeft.ts';
import type { ProgressSnapshot } from '../../cli/progress/snapshot.ts';
import { describeFinishedStage } from '../../cli/progress/wording.ts';
import { inStageOrder } from '../../cli/stageOrder.ts';
import { describeSummary } from '../../cli/summary.ts';

const planned = (stage: string, seconds: number, times = 1) => ({
  ...{ stage, times, seconds },
  ...{ chains: 0, generatedTokens: 0, trainedTokens: 0 },
  ...{ storeBytes: 0, storeRequests: 0, temporalActions: 0, judgeCalls: 0, teacherCalls: 0 },
});

describe('the closing words of a run', () => {
  const summary: RunSummary = {
    iterations: 3,
    split: 'heldOut',
    evaluations: [
      {
        ...{ name: 'before', figures: { chains: 144, format: 0, 'refusal/harmful': 0.08 } },
        rates: { 'refusal/harmful': { value: 0.08, interval: [0.03, 0.2], count: 4, n: 48 } },
      },
      { name: 'warm start', figures: { chains: 144, format: 0.9167 } },
      { name: 'after', figures: { chains: 144, format: 0.95, 'refusal/harmful': 0.5 } },
    ],
    byIteration: [],
    headlines: [
      { id: 'format', text: 'Both parts', target: 'at least 0.90', value: 0.95, interval: [0.9, 0.98], met: true },
      { id: 'gap', text: 'Gap', target: 'at least +0.15', value: 0.1, interval: null, met: false },
      { id: 'told', text: 'Only reported', target: null, value: 0.2, interval: null, met: null },
    ],
    planned: [planned('prepare', 3), planned('evaluate before', 60)],
    spent: { 'evaluate before': 75, prepare: 2 },
    peakMemoryBytes: { engine: 1_500_000_000 },
    modelNotes: ['from \u001b[31mPyPI'],
    adapterSha256: 'ab'.repeat(32),
  };
  const context = { runId: 'demo-1', command: 'npx cada', elapsedSeconds: 80, foundDone: false, stopped: false };
  const text = describeSummary(summary, { report: '/runs/report.html' }, context);

  test('what was learnt, one column an evaluation', () => {
    expect(text.split('\n').slice(0, 4)).toEqual([
      '144 held-out requests, raw prompt, greedy; refusals by the rules of the library, 95 % intervals',
      '                                   before  warm start  after',
      'chains with both parts               0.00        0.92   0.95',
      'refused: harmful        0.08 [0.03, 0.20]           –   0.50',
    ]);
  });

  test('headlines with something to reach, met or not', () => {
    expect(text).toContain('Both parts\n  met: 0.95 (95 % interval 0.90 to 0.98), to reach: at least 0.90\n');
    expect(text).toContain('Gap\n  not met: 0.10, to reach: at least +0.15\n');
    expect(text).not.toContain('Only reported');
  });

  test('planned and spent by stage, in the order of the run', () => {
    expect(text).toContain(
      'prepare               3s      2s\nevaluate before       1m  1m 15s\nall stages         1m 3s  1m 17s\n',
    );
    expect(text).toContain('peak memory: engine 1.5 GB\nThis command took 1m 20s.');
  });

  test('results, next commands, and nothing that moves the cursor', () => {
    expect(text).toContain('note     from \\x1b[31mPyPI\nreport   /runs/report.html\n');
    expect(text).toContain('  npx cada ask demo-1 "..."');
    expect(text).toContain('  npx cada chains --iteration 3 ');
  });

  test('of a run that was found done, and of one that its operator stopped', () => {
    expect(describeSummary(summary, {}, { ...context, foundDone: true, elapsedSeconds: 0.8 })).toContain(
      'Every stage was found done, in 0.8s.',
    );
    expect(describeSummary(summary, {}, { ...context, stopped: true })).toContain('stopped by its operator');
  });
});

test('the plan names stages as the record does, and counts what the configuration asks for', () => {
  const configuration = configurationSchema.parse({ name: 'demo' });
  const { stages, seconds } = estimateRun(configuration);
  expect(stages.map(({ stage }) => stage)).toEqual([
    ...['prepare', 'evaluate before', 'warm start', 'evaluate warm start', 'iterations', 'evaluate after'],
    ...['export', 'report'],
  ]);
  const iterations = stages.find(({ stage }) => stage === 'iterations');
  // 3 iterations of 8 requests x 4 samples, each with a probe of 16 + 16.
  expect(iterations).toMatchObject({ times: 3, chains: 3 * (32 + 32), generatedTokens: 3 * 64 * 112 });
  expect(seconds).toBeCloseTo(stages.reduce((sum, stage) => sum + stage.seconds, 0));
  const raw = stages.find(({ stage }) => stage === 'evaluate before')!;
  expect(raw.seconds).toBeGreaterThan(
    (144 * 112 * measuredRates.shareOfLongestChain) / measuredRates.generatedTokensPerSecond,
  );
});

describe('the time left of a run', () => {
  const stages = [
    planned('prepare', 2),
    planned('warm start', 100),
    planned('iterations', 90, 3),
    planned('report', 10),
  ];
  const snapshot = (stage: string, changes: Partial<ProgressSnapshot> = {}): ProgressSnapshot => ({
    ...{ runId: 'demo-1', state: 'running', stage, iteration: 0, iterations: 3 },
    ...{ shardsDone: 0, shardsTotal: 0, notes: [], finishedStages: [] },
    ...changes,
  });

  test('is what was planned, less the time in the stage at work', () => {
    const left = createRunTimeLeft(stages);
    expect(left(snapshot('warm start: generate chains'), 0)).toBe(200);
    expect(left(snapshot('warm start: optimizer step 2 of 9'), 40)).toBe(160);
    // Longer than planned: the stage itself has no time left to tell.
    expect(left(snapshot('warm start: optimizer step 9 of 9'), 140)).toBe(100);
  });

  test('follows the pace of the stages that have ended', () => {
    const finishedStages = [
      { stage: 'prepare', seconds: 60, cached: false },
      { stage: 'warm start', seconds: 200, cached: false },
    ];
    // Twice as slow as planned; the download in `prepare` says nothing about that. The second of three iterations and the report are left.
    const second = snapshot('iteration 2: probe: reward chains', { iteration: 2, finishedStages });
    expect(createRunTimeLeft(stages)(second, 0)).toBe(2 * (30 + 30 + 10));
  });

  test('is not told of a run that waits, nor of a stage that nobody planned', () => {
    const left = createRunTimeLeft(stages);
    expect(left(snapshot('warm start', { state: 'waiting' }), 0)).toBeUndefined();
    expect(left(snapshot('roll back'), 0)).toBeUndefined();
  });
});

test('stages of a record come in the order of the run, unknown ones last', () => {
  expect(inStageOrder({ 'evaluate after': 1, extra: 2, iterations: 3, prepare: 4 }).map(([stage]) => stage)).toEqual([
    ...['prepare', 'iterations', 'evaluate after', 'extra'],
  ]);
});

test('a finished stage fits a line of 80 columns: the figures looked for first, as many as fit', () => {
  const figures = {
    ...{ chains: 144, num_tokens: 91, reward: 0.6111, format: 0.8889 },
    ...{ 'refusal/harmful': 0.5, 'refusal/plain': 0.1667, 'refusal/look-alike': 0.1667 },
  };
  expect(describeFinishedStage({ stage: 'evaluate warm start', seconds: 98, cached: false, figures })).toBe(
    'evaluate warm start  1m 38s  format 0.889  refusal/harmful 0.5',
  );
});

test('commands are named as the reader can type them', () => {
  expect(commandName({ npm_command: 'run-script' }, '/repository/cli/cada.js', '/repository')).toBe('npx cada');
  expect(commandName({}, '/repository/cli/cada.js', '/repository')).toBe('node cli/cada.js');
  expect(commandName({}, '/app/node_modules/cada/cli/cada.js', '/app')).toBe('cada');
  expect(
    repeatedCommand('npx cada', ['train', 'x.yaml'], { npm_command: 'run-script', npm_lifecycle_event: 'demo' }),
  ).toBe('npm run demo');
  expect(repeatedCommand('cada', ['train', 'x.yaml'], {})).toBe('cada train x.yaml');
});
