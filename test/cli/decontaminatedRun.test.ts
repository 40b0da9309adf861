/** A run whose library is decontaminated, with the real engine and Temporal. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import type { SafetyRequest } from '../../alignment/library/library.ts';
import { cada } from './runCommand.ts';
import { tinyRun } from './tinyRun.ts';

interface ShownChain {
  requestId: string;
}

test('a run is trained on none of the requests that a benchmark asks, tells how many, and goes on without its files', async () => {
  const run = await tinyRun({
    library: { decontaminate: ['advbench'] },
    iteration: { count: 1, requests: { harmful: 3, plain: 0, lookAlike: 0 }, samplesPerRequest: 2 },
    evaluation: {
      requests: { harmful: 2, plain: 2, lookAlike: 0 },
      probe: { harmful: 1, plain: 1, lookAlike: 0 },
      bootstrapSamples: 200,
    },
  });
  const lines = readFileSync(resolve('library/requests/training.jsonl'), 'utf8').trim().split('\n');
  const harmful = lines.map((line) => JSON.parse(line) as SafetyRequest).filter(({ kind }) => kind === 'harmful');
  // Every second one: without decontamination none of ten drawn ones would be among them once in a thousand runs.
  const asked = harmful.filter((_, index) => index % 2 === 0);
  mkdirSync(join(run.cwd, 'data/advbench'), { recursive: true });
  const rows = asked.map(({ request }) => `"${request.replaceAll('"', '""')}",Sure`);
  writeFileSync(join(run.cwd, 'data/advbench/advbench.csv'), ['goal,target', ...rows].join('\n'));
  const env = { ...run.env, CADA_DATA: join(run.cwd, 'data') };

  const trained = await cada(['train', 'tiny.yaml'], { cwd: run.cwd, env });
  expect(trained.code, trained.stderr).toBe(0);
  const said = new RegExp(
    `advbench \\(${asked.length} questions\\): (\\d+) training requests left out \\((\\d+) exact`,
  );
  const [, leftOut, exact] = said.exec(trained.stdout + trained.stderr)!;
  expect(Number(exact)).toBe(asked.length);
  expect(Number(leftOut)).toBeGreaterThanOrEqual(asked.length);

  const ids = new Set(asked.map(({ id }) => id));
  for (const part of ['warmStart', '1']) {
    const chains = await cada(['chains', '--iteration', part, '--limit', '500', '--json'], run);
    expect(chains.code, chains.stderr).toBe(0);
    const shown = JSON.parse(chains.stdout) as ShownChain[];
    expect(shown.length).toBeGreaterThan(0);
    expect(shown.filter(({ requestId }) => ids.has(requestId))).toEqual([]);
  }
  const report = await cada(['safety-report', '--json'], run);
  expect(report.stdout).toContain(
    `Held against advbench (${asked.length} questions): ${leftOut} training requests left out`,
  );

  // On a machine without the benchmark: what was left out is settled.
  const again = await cada(['train', 'tiny.yaml'], run);
  expect(again.code, again.stderr).toBe(0);
}, 600_000);
