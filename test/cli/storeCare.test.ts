import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import type { Verification } from '../../infra/artifacts/verify.ts';
import { smallRun } from '../infra/artifacts/runWithSteps.ts';
import type { SmallRun } from '../infra/artifacts/runWithSteps.ts';
import { cada, newFolder } from './runCommand.ts';

let cwd: string;
let objects: string;
let run: SmallRun;
beforeEach(async () => {
  cwd = newFolder();
  const store = await openStore(join(cwd, '.cada', 'store'));
  objects = join(cwd, '.cada', 'store', 'objects');
  run = await smallRun(store, 'demo-1', 'done');
});

describe('cada verify', () => {
  test('of a whole run prints a line a kind and ends with 0', async () => {
    const { code, stdout } = await cada(['verify'], { cwd });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^adapter +1 +17 B$/m);
    expect(stdout).toMatch(/^step +3 +0 B$/m);
    expect(stdout).toMatch(/Run demo-1: 16 artifacts, .*: all whole\./);
  });

  test('names what is rotten, what refers to it and what to do, and ends with 1', async () => {
    writeFileSync(join(objects, run.adapter.sha256), 'x'.repeat(run.adapter.bytes));
    const { code, stdout } = await cada(['verify', 'demo'], { cwd });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^adapter +1 +17 B +1$/m);
    expect(stdout).toContain(`adapter ${run.adapter.sha256} is rotten\n`);
    expect(stdout).toContain('runs/demo-1/run.json');
    expect(stdout).toContain('cada train --fresh');

    const repaired = await cada(['verify', 'demo-1', '--repair', '--json'], { cwd });
    expect(repaired.code).toBe(1);
    expect(JSON.parse(repaired.stdout) as Verification).toMatchObject({
      whole: false,
      removed: [run.adapter.sha256],
      damages: [{ name: run.adapter.sha256, fault: 'rotten', recovery: 'step' }],
    });
    expect(readdirSync(objects)).not.toContain(run.adapter.sha256);
  });

  test('finds a run whose record is rotten by its whole id', async () => {
    writeFileSync(join(cwd, '.cada', 'store', 'runs', 'demo-1', 'run.json'), '{');
    const { code, stdout } = await cada(['verify', 'demo-1'], { cwd });
    expect(code).toBe(1);
    expect(stdout).toContain('record runs/demo-1/run.json is unreadable\n');
  });
});

describe('cada gc', () => {
  test('shows first, removes only with --delete, and the kept run stays whole', async () => {
    const store = await openStore(join(cwd, '.cada', 'store'));
    const gone = await smallRun(store, 'demo-2', 'stopped');
    // The steps stay, being new; what only the forgotten run's documents refer to is old.
    const long = new Date(Date.now() - 30 * 24 * 3600_000);
    for (const { sha256 } of [gone.plan, gone.list, gone.shard]) utimesSync(join(objects, sha256), long, long);

    const shown = await cada(['gc', '--forget', 'demo-2'], { cwd });
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/would be removed +3 /);
    expect(shown.stdout).toContain('Nothing was removed: repeat with --delete.');
    expect(readdirSync(objects)).toContain(gone.plan.sha256);

    const removed = await cada(['gc', '--forget', 'demo-2', '--delete', '--json'], { cwd });
    expect(removed.code).toBe(0);
    expect(JSON.parse(removed.stdout)).toMatchObject({ removed: { objects: 3, steps: 0 } });
    expect(readdirSync(objects)).not.toContain(gone.plan.sha256);
    expect((await cada(['runs'], { cwd })).stdout).not.toContain('demo-2');
    expect((await cada(['verify', 'demo-1'], { cwd })).code).toBe(0);
  });

  test('refuses beside a run at work for longer than the lease', async () => {
    const store = await openStore(join(cwd, '.cada', 'store'));
    await smallRun(store, 'demo-3', 'running', { startedAt: new Date(Date.now() - 48 * 3600_000) });
    const { code, stdout, stderr } = await cada(['gc', '--older-than', '1d', '--delete'], { cwd });
    expect(code).toBe(2);
    expect(stdout).toMatch(/Nothing can be removed now:\n- run demo-3 is running since .*--older-than/);
    expect(stderr).toContain('Nothing was removed.');
    expect((await cada(['gc', '--older-than', '3d', '--delete'], { cwd })).code).toBe(0);
  });

  test.each([
    [['--older-than', '5m'], 'Less than an hour'],
    [['--older-than', 'soon'], 'such as 7d or 12h'],
    [['--forget', 'demo'], 'There is no run, study, evaluation or drafting "demo"'],
  ])('%j is bad input', async (options, message) => {
    const { code, stderr } = await cada(['gc', ...options], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
