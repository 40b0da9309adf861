import { mkdtempSync, existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Graph } from '../../../engine/graph/builder.ts';
import * as op from '../../../engine/graph/operators.ts';
import { readProfile, summariseProfile } from '../../../engine/session/profile.ts';
import type { TraceEvent } from '../../../engine/session/profile.ts';
import { openSession } from '../../../engine/session/session.ts';

const kernel = (kind: string, ts: number, dur: number): TraceEvent => ({
  cat: 'Node',
  name: `${kind}_1_kernel_time`,
  ts,
  dur,
  args: { op_name: kind },
});
const run = (ts: number, dur: number): TraceEvent => ({ cat: 'Session', name: 'model_run', ts, dur });

describe('summary of a trace', () => {
  test('sums calls and time by kind, the longest first, and leaves out what is no kernel', () => {
    const { operators, runs, milliseconds } = summariseProfile([
      { cat: 'Session', name: 'session_initialization', ts: 0, dur: 9000 },
      run(10_000, 1000),
      kernel('Add', 10_000, 100),
      { ...kernel('Add', 10_100, 50), name: 'Add_1_fence_before' },
      kernel('MatMul', 10_200, 300),
      kernel('Add', 10_500, 200),
      kernel('MatMul', 10_700, 200),
    ]);
    expect([runs, milliseconds]).toEqual([1, 1]);
    expect(operators).toEqual([
      { kind: 'MatMul', calls: 2, milliseconds: 0.5, meanMicroseconds: 250, share: 0.625 },
      { kind: 'Add', calls: 2, milliseconds: 0.3, meanMicroseconds: 150, share: 0.375 },
    ]);
  });

  test('what happens inside a loop counts for the operators there, not twice', () => {
    const { operators } = summariseProfile([
      run(0, 1000),
      // ONNX Runtime writes the outer operator after what it holds.
      kernel('MatMul', 110, 300),
      kernel('Softmax', 410, 100),
      kernel('If', 105, 600),
      kernel('Loop', 100, 700),
      kernel('Add', 800, 50),
    ]);
    const times = Object.fromEntries(operators.map(({ kind, milliseconds }) => [kind, milliseconds]));
    expect(times).toEqual({
      Loop: expect.closeTo(0.1) as number,
      If: expect.closeTo(0.2) as number,
      MatMul: 0.3,
      Softmax: 0.1,
      Add: 0.05,
    });
  });

  test('skips the first runs with their operators', () => {
    const events = [run(0, 100), kernel('MatMul', 10, 80), run(200, 50), kernel('Add', 210, 30)];
    const { runs, milliseconds, operators } = summariseProfile(events, 1);
    expect([runs, milliseconds]).toEqual([1, 0.05]);
    expect(operators.map(({ kind }) => kind)).toEqual(['Add']);
  });
});

describe("a session's profile", () => {
  test('counts every operator of every run; reading it removes the file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'profile-'));
    const graph = new Graph('profiled');
    const x = graph.input('x', 'float32', [2, 2]);
    graph.output('y', op.add(op.matmul(op.matmul(x, x), x), x));
    const prefix = join(folder, 'trace');
    const session = await openSession(graph, { threads: 1, device: 'cpu', profilePrefix: prefix });
    for (let i = 0; i < 3; i++) await session.run({ x: { data: Float32Array.of(1, 2, 3, 4), shape: [2, 2] } });
    await session.release();
    const { runs, operators } = summariseProfile(await readProfile(prefix), 1);
    expect(runs).toBe(2);
    const calls = Object.fromEntries(operators.map(({ kind, calls }) => [kind, calls]));
    expect(calls).toMatchObject({ Add: 2 });
    expect(Object.values(calls).reduce((sum, count) => sum + count)).toBe(6);
    await expect(readProfile(prefix)).rejects.toThrow('wrote no profile');
    writeFileSync(join(folder, 'other_1.json'), '[]');
    await expect(readProfile(prefix)).rejects.toThrow('wrote no profile');
    expect(existsSync(join(folder, 'other_1.json'))).toBe(true);
  });
});
