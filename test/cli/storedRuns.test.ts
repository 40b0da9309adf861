import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import type { ArtifactRef } from '../../infra/artifacts/artifactStore.ts';
import { saveRun } from '../../infra/artifacts/runs.ts';
import type { RunRecord } from '../../activities/types.ts';
import { cada, newFolder } from './runCommand.ts';

const cwd = newFolder();
let adapter: ArtifactRef;

beforeAll(async () => {
  const store = await openStore(join(cwd, '.cada', 'store'));
  const put = (text: string, kind: string) => store.putBytes(text, kind);
  adapter = await put('adapter bytes', 'adapter');
  const record: RunRecord = {
    runId: 'demo-11111111',
    configuration: await put('{}', 'configuration'),
    library: await put('{}', 'library'),
    state: 'done',
    stage: 'done',
    iteration: 3,
    iterations: 3,
    policy: { model: await put('{}', 'model'), adapter },
    evaluations: {
      before: { artifact: await put('b', 'evaluation'), figures: { format: 0 } },
      after: { artifact: await put('a', 'evaluation'), figures: { format: 0.9375, 'refusal/harmful': 0.75 } },
    },
    report: await put('<html></html>', 'report'),
    wallSeconds: { prepare: 2.5, iterations: 181 },
    peakMemoryBytes: { gpu: 1_500_000_000 },
  };
  await saveRun(store, record.runId, record, undefined, new Date('2026-01-02T03:04:05Z'));
  const older: RunRecord = { ...record, runId: 'demo-22222222', iteration: 1 };
  await saveRun(store, older.runId, older, undefined, new Date('2026-01-01T00:00:00Z'));
});

describe('cada status', () => {
  test('--json gives the latest run in the shape that scripts rely on', async () => {
    const { code, stdout } = await cada(['status', '--json'], { cwd });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      runId: 'demo-11111111',
      state: 'done',
      iteration: 3,
      iterations: 3,
      adapter: { sha256: adapter.sha256, path: join(cwd, '.cada', 'store', 'objects', adapter.sha256) },
      report: expect.stringContaining(join(cwd, '.cada', 'store', 'objects')) as string,
      wallSeconds: { prepare: 2.5, iterations: 181 },
      before: { format: 0 },
      after: { format: 0.9375, 'refusal/harmful': 0.75 },
      peakMemoryBytes: { gpu: 1_500_000_000 },
    });
  });

  test('in words: stages, figures before and after', async () => {
    const { stdout } = await cada(['status'], { cwd });
    expect(stdout).toMatch(/state +done/);
    expect(stdout).toMatch(/iterations +3m 1s/);
    expect(stdout).toMatch(/refusal\/harmful +– +0\.75/);
  });

  test('takes the beginning of an id where it fits one run only', async () => {
    const one = await cada(['status', 'demo-2', '--json'], { cwd });
    expect(JSON.parse(one.stdout)).toMatchObject({ runId: 'demo-22222222', iteration: 1 });
    const several = await cada(['status', 'demo'], { cwd });
    expect(several).toMatchObject({ code: 2 });
    expect(several.stderr).toContain('fits several runs: demo-11111111, demo-22222222.');
    const none = await cada(['status', 'demo-11111112'], { cwd });
    expect(none).toMatchObject({ code: 2 });
    expect(none.stderr).toContain('Did you mean demo-11111111?');
  });

  test('an empty store is bad input with the remedy', async () => {
    const { code, stderr } = await cada(['status']);
    expect(code).toBe(2);
    expect(stderr).toContain('There is no run in file://');
    expect(stderr).toContain('cada train');
  });
});

test('cada runs lists the latest first', async () => {
  const { stdout } = await cada(['runs'], { cwd });
  expect(stdout.split('\n').map((line) => line.split(/ +/)[0])).toEqual(['run', 'demo-11111111', 'demo-22222222', '']);
  const { stdout: json } = await cada(['runs', '--json'], { cwd });
  expect(JSON.parse(json)).toMatchObject([{ runId: 'demo-11111111', state: 'done' }, { runId: 'demo-22222222' }]);
});

test('cada report writes the report into the folder of the run and prints where', async () => {
  const { code, stdout } = await cada(['report', 'demo-1'], { cwd });
  expect(code).toBe(0);
  const file = join(cwd, '.cada', 'runs', 'demo-11111111', 'report.html');
  expect(stdout).toBe(`${file}\n`);
  expect(readFileSync(file, 'utf8')).toBe('<html></html>');
});

test('cada export dataset of a run without chains is bad input, and leaves nothing behind', async () => {
  const { code, stderr } = await cada(['export', 'dataset', 'demo-1', '--out', 'dataset'], { cwd });
  expect(code).toBe(2);
  expect(stderr).toContain('Run demo-11111111 has no chains yet: it is at stage "done".');
  expect(readdirSync(cwd)).toEqual(['.cada']);
});

test('cada clean shows first and removes only with --yes; the artifacts stay for other runs', async () => {
  const folder = join(cwd, '.cada', 'runs', 'demo-clean');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'worker.log'), 'x'.repeat(2000));
  const shown = await cada(['clean', 'demo-clean'], { cwd });
  expect(shown.stdout).toMatch(/demo-clean +2 kB\n/);
  expect(existsSync(folder)).toBe(true);
  expect((await cada(['clean', 'demo-clean', '--yes'], { cwd })).code).toBe(0);
  expect(existsSync(folder)).toBe(false);
  expect(existsSync(join(cwd, '.cada', 'store', 'objects', adapter.sha256))).toBe(true);
});

test('cada train --resume of a configuration that never ran is bad input', async () => {
  const { code, stderr } = await cada(['train', join(process.cwd(), 'configurations', 'demo.yaml'), '--resume'], {
    cwd,
  });
  expect(code).toBe(2);
  expect(stderr).toMatch(/There is no run demo-[0-9a-f]{8} in .* to go on with/);
});

test('a store address of an unknown form is bad input', async () => {
  const { code, stderr } = await cada(['status'], { env: { CADA_STORE: 'ftp://somewhere' } });
  expect(code).toBe(2);
  expect(stderr).toContain('ftp://somewhere');
});
