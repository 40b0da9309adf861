import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { SpeedFigures } from '../../cli/operate/speed.ts';
import { describeSpeed } from '../../cli/commands/bench.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';
import { cada, newFolder } from './runCommand.ts';

describe('cada bench', { timeout: 240_000 }, () => {
  let cwd: string;
  beforeAll(async () => {
    cwd = newFolder();
    await writeTinyChainModel(join(cwd, 'model'));
  });

  test('measures a model that is named: speeds, memory, and the time by kind of operator', async () => {
    const { code, stdout } = await cada(['bench', 'model', '--profile', '--json'], { cwd });
    expect(code).toBe(0);
    const figures = JSON.parse(stdout) as SpeedFigures;
    expect(figures.model).toBe('model');
    expect(figures.generation.map(({ batch, promptTokens, newTokens }) => [batch, promptTokens, newTokens])).toEqual([
      [1, 64, 64],
      [8, 64, 64],
      [32, 64, 64],
    ]);
    for (const { tokensPerSecond } of [...figures.generation, figures.training])
      expect(tokensPerSecond).toBeGreaterThan(0);
    // As many sequences as the demo's micro-batch of 768 tokens holds.
    expect(figures.training).toMatchObject({ rows: 4, length: 192 });
    expect(figures.peakMemoryBytes).toBeGreaterThan(50e6);

    const { decode, training } = figures.profile!;
    // Of 64 tokens the first is drawn with the prompt; of two passes the first is left out.
    expect([decode.runs, training.runs]).toEqual([63, 1]);
    for (const { operators, milliseconds } of [decode, training]) {
      expect(operators.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1);
      expect(operators.reduce((sum, operator) => sum + operator.milliseconds, 0)).toBeLessThanOrEqual(milliseconds);
    }
    // 2 layers with 2 norms each, and the last one.
    const norms = decode.operators.find(({ kind }) => kind === 'SimplifiedLayerNormalization');
    expect(norms?.calls).toBe(5 * decode.runs);
  });

  test('a model that is not there is bad input', async () => {
    const { code, stderr, stdout } = await cada(['bench', './nowhere'], { cwd });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('There is no file or folder');
  });

  test('says in words what was measured, the smaller operators summed up', () => {
    const operators = Array.from({ length: 20 }, (_, i) => ({
      kind: `Kind${i}`,
      calls: 4,
      milliseconds: 2,
      meanMicroseconds: 500,
      share: 0.05,
    }));
    const profile = { runs: 2, milliseconds: 50, operators };
    const text = describeSpeed({
      model: 'tiny',
      threads: 2,
      generation: [{ batch: 8, promptTokens: 64, newTokens: 64, tokensPerSecond: 200.4 }],
      training: { rows: 4, length: 192, tokensPerSecond: 300, gflops: 150, peakGflops: 200 },
      peakMemoryBytes: 1.5e9,
      profile: { decode: profile, training: profile },
    });
    expect(text).toMatch(/generation, 8 x \(64 \+ 64\) tokens +200\n/);
    expect(text).toContain("150 GFLOPS, 75 % of this machine's 200");
    expect(text).toContain('Decoding, a step of 8 sequences: 25.0 ms');
    expect(text).toContain('80 % of it in operators');
    expect(text).toMatch(/Kind14 +5 % +1\.00 +2 +500\.0\n/);
    expect(text).toMatch(/5 others +25 % +5\.00 +10 +500\.0/);
    expect(text).not.toContain('Kind15');
  });
});
