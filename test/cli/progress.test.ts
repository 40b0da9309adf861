import picocolors from 'picocolors';
import { describe, expect, test } from 'vitest';
import { renderFrame } from '../../cli/progress/liveFrame.ts';
import { createPlainLines } from '../../cli/progress/plainLines.ts';
import { finishedSince } from '../../cli/progress/snapshot.ts';
import type { ProgressSnapshot } from '../../cli/progress/snapshot.ts';
import { duration, timeLeft } from '../../cli/progress/wording.ts';
import { plainTable } from '../../cli/terminal.ts';

const base: ProgressSnapshot = {
  runId: 'demo-11111111',
  state: 'running',
  stage: 'generate',
  iteration: 2,
  iterations: 3,
  shardsDone: 3,
  shardsTotal: 12,
  notes: [],
  finishedStages: [],
};

describe('plain lines', () => {
  test('counting is told every five seconds, a new stage at once, nothing twice', () => {
    const linesFor = createPlainLines();
    expect(linesFor(base, 0)).toEqual(['generate  iteration 2/3  shards 3/12']);
    expect(linesFor({ ...base, shardsDone: 4 }, 4.9)).toEqual([]);
    // 5 s for the shard since it was first seen: 40 s for the other 8.
    expect(linesFor({ ...base, shardsDone: 4 }, 5)).toEqual([
      'generate  iteration 2/3  shards 4/12  about 40s left of this stage',
    ]);
    expect(linesFor({ ...base, shardsDone: 4, tokensPerSecond: 99 }, 60)).toEqual([]);
    expect(linesFor({ ...base, stage: 'reward', shardsDone: 0 }, 60.1)).toEqual(['reward  iteration 2/3  shards 0/12']);
  });

  test('a note is told once while it stands, and again when it comes back', () => {
    const linesFor = createPlainLines();
    const note = 'waiting for a gpu worker: start one with `cada worker --kind gpu`';
    linesFor(base, 0);
    expect(linesFor({ ...base, notes: [note] }, 1)).toEqual([note]);
    expect(linesFor({ ...base, notes: [note] }, 30)).toEqual([]);
    expect(linesFor(base, 31)).toEqual([]);
    expect(linesFor({ ...base, notes: [note] }, 32)).toEqual([note]);
  });

  test('each finished stage once, also where the list is shortened in its middle', () => {
    const stages = Array.from({ length: 6 }, (_, i) => ({ stage: `iteration ${i}`, seconds: i + 1, cached: false }));
    expect(finishedSince(undefined, stages.slice(0, 2))).toHaveLength(2);
    const shortened = [stages[0]!, ...stages.slice(3)];
    expect(finishedSince(stages[4], shortened).map(({ stage }) => stage)).toEqual(['iteration 5']);
    expect(finishedSince(stages[5], shortened)).toEqual([]);
  });
});

describe('the live frame', () => {
  const context = {
    columns: 60,
    elapsedSeconds: 65,
    pace: { seconds: 9, shards: 3 },
    colors: picocolors.createColors(false),
  };

  test('stage, bar, address of the UI; no line wider than the terminal', () => {
    const lines = renderFrame(
      { ...base, tokensPerSecond: 260.4, meanReward: 0.4249 },
      { ...context, columns: 100, uiAddress: 'http://127.0.0.1:8233/namespaces/default/workflows/demo' },
    );
    expect(lines[0]).toBe('generate  iteration 2/3  shards 3/12  260 tok/s  reward 0.42  about 27s left of this stage');
    expect(lines[1]).toBe('█'.repeat(15) + '░'.repeat(45));
    expect(lines[2]).toBe('run demo-11111111 · 1m 5s · Temporal UI http://127.0.0.1:8233 · Ctrl-C stops');
    for (const line of renderFrame({ ...base, notes: ['n'.repeat(200)] }, context))
      expect(line.length).toBeLessThanOrEqual(60);
  });

  test('says why a run waits, with what a model may have written made harmless', () => {
    const [line] = renderFrame(
      { ...base, state: 'waiting', cause: 'bad \u001b]0;title\u0007 text' },
      { ...context, columns: 200 },
    );
    expect(line).toBe('generate  waits for its operator: bad \\x1b]0;title\\x07 text');
  });
});

test('the time left of the run wins over that of the stage; nothing is guessed without a finished shard', () => {
  const pace = { seconds: 9, shards: 3 };
  expect(timeLeft({ ...base, secondsLeft: 250 }, pace)).toBe('about 4m 10s left');
  expect(timeLeft(base, { seconds: 9, shards: 0 })).toBeUndefined();
  expect(timeLeft({ ...base, state: 'paused' }, pace)).toBeUndefined();
  expect([0.04, 59.6, 3725].map(duration)).toEqual(['0.0s', '1m', '1h 2m 5s']);
});

test('tables have no frame', () => {
  expect(
    plainTable(
      ['a', 'n'],
      [
        ['x', '1'],
        ['yy', '22'],
      ],
      [1],
    ),
  ).toBe('a    n\nx    1\nyy  22');
});
