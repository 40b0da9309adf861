import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ContaminationReport } from '../../cli/operate/contamination.ts';
import { readRunLibrary } from '../../cli/operate/libraryFiles.ts';
import { readConfiguration } from '../../infra/configuration/readConfiguration.ts';
import { cada, newFolder } from './runCommand.ts';

describe('cada contamination', { timeout: 120_000 }, () => {
  const cwd = newFolder();
  const contamination = (...args: string[]) =>
    cada(['contamination', ...args, '--data', 'data'], { cwd, env: { CADA_CACHE: join(cwd, 'cache') } });
  let training: { id: string; request: string }[];

  beforeAll(() => {
    cpSync(resolve('library'), join(cwd, 'library'), { recursive: true });
    const lines = readFileSync(join(cwd, 'library/requests/training.jsonl'), 'utf8').trim().split('\n');
    training = lines.map((line) => JSON.parse(line) as { id: string; request: string });
    const [first, second] = training.map(({ request }) => request);
    mkdirSync(join(cwd, 'data/advbench'), { recursive: true });
    const row = (goal: string) => `"${goal.replaceAll('"', '""')}",Sure`;
    // One as it stands there, in capitals; one with a word more; one of its own.
    const goals = [`${first!.toUpperCase()}!`, `${second!} really`, 'Take the bus to the museum'];
    writeFileSync(join(cwd, 'data/advbench/advbench.csv'), ['goal,target', ...goals.map(row), ''].join('\n'));
    writeFileSync(
      join(cwd, 'run.yaml'),
      'name: a\nlibrary: { path: library }\nevaluation: { benchmarks: [advbench] }\n',
    );
    writeFileSync(join(cwd, 'plain.yaml'), 'name: a\nlibrary: { path: library }\n');
    const study =
      'name: s\nsuites: [advbench]\nbase: { library: { path: library } }\narms: [{ name: n, inference: none }]\n';
    writeFileSync(join(cwd, 'study.yaml'), study);
    writeFileSync(join(cwd, 'mine.csv'), 'id,question\n7,take the BUS to the museum\n8,something else\n');
  });

  const found = ({ rows }: ContaminationReport) =>
    rows.flatMap(({ source, benchmark, exact, near }) => (exact + near > 0 ? [[source, benchmark, exact, near]] : []));

  test('a configuration, a study and a configuration that names none are held against the same benchmark', async () => {
    for (const file of ['run.yaml', 'study.yaml', 'plain.yaml']) {
      const { code, stdout } = await contamination(file, '--json');
      expect(code).toBe(0);
      const report = JSON.parse(stdout) as ContaminationReport;
      expect(found(report)).toEqual([['training requests', 'advbench', 1, 1]]);
      expect(report.rows.map(({ source }) => source)).toEqual([
        ...['training requests', 'cases', 'development requests', 'held-out requests'],
      ]);
      expect(report.rows[0]).toMatchObject({
        ...{ use: 'trained on', texts: training.length, questions: 3 },
        pairs: [
          { question: 'advbench-0', text: training[0]!.id, overlap: 1 },
          { question: 'advbench-1', text: training[1]!.id },
        ],
      });
      expect(report.missing.includes('xstest')).toBe(file === 'plain.yaml');
      expect(stdout.toLowerCase()).not.toContain(training[0]!.request.toLowerCase());
    }
  });

  test('library.decontaminate leaves the two requests out of what is held against it, and of a run’s library', async () => {
    const file = join(cwd, 'clean.yaml');
    writeFileSync(file, 'name: a\nlibrary: { path: library, decontaminate: [advbench] }\n');
    const { code, stdout } = await contamination('clean.yaml', '--json', '--suite', 'advbench');
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as ContaminationReport;
    expect(found(report)).toEqual([]);
    expect(report.rows[0]).toMatchObject({ source: 'training requests', texts: training.length - 2 });
    // As a run reads it: what was left out is kept with its library.
    const { library } = await readConfiguration(file);
    const told: string[] = [];
    const places = { data: join(cwd, 'data'), cache: join(cwd, 'cache') };
    const files = await readRunLibrary(
      { ...library, path: join(cwd, 'library') },
      { places, note: (line) => told.push(line) },
    );
    expect(told.at(-1)).toBe(
      'library.decontaminate: advbench (3 questions): 2 training requests left out (1 exact, 1 near, 0 in part)',
    );
    expect(JSON.parse(files['decontamination.json']!)).toMatchObject({
      benchmarks: [{ benchmark: 'advbench', questions: 3 }],
      leftOut: [
        { id: training[0]!.id, question: 'advbench-0', overlap: 1 },
        { id: training[1]!.id, question: 'advbench-1' },
      ],
    });
  });

  test('a training file of one’s own; the table and its pairs hold ids, never texts', async () => {
    const { code, stdout } = await contamination('run.yaml', '--file', 'mine.csv', '--pairs');
    expect(code).toBe(0);
    expect(stdout).toMatch(/mine\.csv +trained on +2 +advbench +3 +1 +0 +0/);
    expect(stdout).toMatch(/advbench-2 {2}7 {2}exact/);
    expect(stdout).not.toMatch(/museum/i);
    expect(stdout).toContain('3 of 5 pairs of texts and benchmark have nothing in common.');
  });

  test('what is wrong is said: a file without a request column, an unknown benchmark, no such file', async () => {
    writeFileSync(join(cwd, 'bad.jsonl'), '{"answer": "x"}\n');
    const bad = await contamination('run.yaml', '--file', 'bad.jsonl');
    expect(bad.code).toBe(2);
    expect(bad.stderr).toContain('bad.jsonl: row 1: none of the columns request, question, prompt');
    expect((await contamination('run.yaml', '--suite', 'advbnch')).stderr).toContain('advbench');
    const none = await contamination('none.yaml');
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('none.yaml cannot be read');
  });
});
