import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import { readJson } from '../../activities/inputs.ts';
import type { StudyPlan } from '../../activities/studyPlans.ts';
import type { ArtifactRef } from '../../activities/types.ts';
import type { StudyResult } from '../../alignment/study/studyResult.ts';
import type { RunSummary } from '../../cli/operations.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { startChatServer } from '../servers/chatServer.ts';
import { cada, type Ended, type RunOptions } from './runCommand.ts';
import { startTinyStudy, tinyStudy, type TinyStudy } from './tinyStudy.ts';

describe('cada compare', { timeout: 900_000 }, () => {
  let run: TinyStudy['run'];
  let compare: TinyStudy['compare'];
  let compareSeen: TinyStudy['compareSeen'];
  let documents: TinyStudy['documents'];
  let computed: TinyStudy['computed'];
  const trained = {
    name: 'cada',
    configuration: { library: { withhold: ['privacy'] }, iteration: { learningRate: 0.001 } },
  };

  const approve = (runId: string, options: RunOptions) =>
    cada(['approve', runId, '--by', 'Ann', '--why', 'for the study'], options);

  let first: Ended;

  // Every test finds it done, also one that is run alone.
  beforeAll(async () => {
    ({ run, compare, compareSeen, documents, computed } = await startTinyStudy());
    first = await compare({}, '--json');
  }, 300_000);

  test('asks inference arms once, whatever the seeds, and tells their figures', async () => {
    const { code, stdout, stderr } = first;
    expect(stderr).toContain('2 units');
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as StudyResult & { files: Record<string, string> };
    expect(result.arms).toEqual([
      { name: 'none', trained: false, asked: 'none' },
      { name: 'cases-2', trained: false, asked: 'simple,cases:2' },
    ]);
    expect(result.units.map(({ seed, adapterSha256 }) => [seed, adapterSha256])).toEqual([
      [null, null],
      [null, null],
    ]);
    expect(result.figures.arms.map(({ seeds }) => seeds)).toEqual([1, 1]);
    for (const { figures, cost } of result.figures.arms) {
      expect(Object.keys(figures)).toEqual(['format', 'harmlessness', 'over-refusal', 'robustness/prefix-injection']);
      expect(figures['harmlessness']!.n).toBe(8);
      expect(figures['over-refusal']!.n).toBe(8);
      expect(cost.tokensPerAnswer).toBeGreaterThan(0);
      expect(cost.trainingSeconds).toBeNull();
    }
    expect(result.figures.differences.map(({ measure, from, to, n }) => [measure, from, to, n])).toEqual([
      ['harmlessness', 'none', 'cases-2', 8],
      ['robustness/prefix-injection', 'none', 'cases-2', 8],
      ['over-refusal', 'none', 'cases-2', 8],
    ]);
    const contamination = result.contamination!.filter(
      ({ benchmark }) => benchmark === result.settings.suites[0]!.suite,
    );
    expect(contamination.map(({ source }) => source)).toContain('training requests');
    for (const { questions, exact, near } of contamination) {
      expect(questions).toBeGreaterThan(0);
      expect(exact + near).toBe(0);
    }
    const page = readFileSync(result.files['page']!, 'utf8');
    expect(page).toContain('<h2>Contamination</h2>');
    expect(page).toContain('<svg');
    expect(page).toContain('simple,cases:2');
    expect(page).not.toContain('thing number');
    expect(readFileSync(result.files['markdown']!, 'utf8')).toContain('| none | ');
    expect(readFileSync(result.files['latex']!, 'utf8')).toContain('\\toprule');
    expect(documents()).toHaveLength(3);
    // Its plan is named in the store, not only by Temporal: a collection of garbage while units wait keeps what they need.
    const store = await openStore(join(run.cwd, '.cada', 'store'));
    const [planned] = readdirSync(join(run.cwd, '.cada', 'store', 'studyPlans', result.studyId));
    const plan = (await store.getDocument<{ plan: ArtifactRef }>(`studyPlans/${result.studyId}/${planned!}`))!.value
      .plan;
    expect((await readJson<StudyPlan>(store, plan)).units.map(({ id }) => id)).toEqual(['none', 'cases-2']);
    // What its workflows did can be read, and replayed, after the server is gone.
    const kept = join(run.cwd, '.cada', 'store', 'histories', result.studyId);
    const names = readdirSync(kept);
    expect(names.map((name) => name.split('.')[0]).sort()).toEqual(['cases-2', 'none', 'run']);
    const logger = new DefaultLogger('ERROR');
    Runtime.install({ logger });
    const workflowBundle = await bundleWorkflowCode({ workflowsPath: resolve('workflows/index.ts'), logger });
    for (const name of names) {
      const history: unknown = JSON.parse(readFileSync(join(kept, name), 'utf8'));
      const unitOfStudy = name.split('.')[0]!;
      const workflowId = unitOfStudy === 'run' ? result.studyId : `${result.studyId}/${unitOfStudy}`;
      await Worker.runReplayHistory({ workflowBundle }, history, workflowId);
    }
  });

  test('the same study again finds everything done; with its page lost, from the figures of its units', async () => {
    const before = computed();
    const again = await compare({});
    expect(again.code).toBe(0);
    expect(again.stdout).toContain('cases-2');
    expect(again.stderr).not.toContain('answer');
    const [result] = documents().filter((path) => /studies\/[^/]+\.json$/.test(path));
    rmSync(join(run.cwd, '.cada', 'store', result!));
    rmSync(join(run.cwd, '.cada', 'studies'), { recursive: true });
    // One unit had not committed its figures: its answers are there all the same.
    rmSync(
      join(
        run.cwd,
        '.cada',
        'store',
        documents().find((path) => path.endsWith('/cases-2.json'))!,
      ),
    );
    // A fresh machine: no database of a server either.
    rmSync(join(run.cwd, '.cada', 'runs'), { recursive: true });
    const rebuilt = await compare({});
    expect(rebuilt.code).toBe(0);
    expect(rebuilt.stdout.replaceAll(/\s+/g, ' ')).toBe(again.stdout.replaceAll(/\s+/g, ' '));
    expect(before['generateChains']).toBeGreaterThan(0);
    expect(computed()).toEqual({});
    expect(documents()).toHaveLength(3);
  });

  test('another machine goes on from the units of this one, and tells what some of them come to', async () => {
    const { files, figures } = JSON.parse((await compare({}, '--json')).stdout) as StudyResult & {
      files: Record<string, string>;
    };
    const lines = readFileSync(files['units']!, 'utf8');
    expect(lines.trim().split('\n')).toHaveLength(2);
    expect(lines).not.toContain('thing number');
    const carried = join(run.cwd, 'carried.jsonl');
    const packed = `${carried}.gz`;
    const elsewhere = ['--store', `file://${join(run.cwd, 'other-store')}`, '--units', carried];

    expect(await compare({}, '--interim', ...elsewhere.slice(0, 2))).toMatchObject({ code: 2 });
    writeFileSync(carried, lines.split('\n')[1]!);
    const interim = await compare({}, '--interim', ...elsewhere, '--json');
    expect({ code: interim.code, stderr: interim.stderr }).toMatchObject({ code: 0 });
    expect(interim.stderr).toContain('1 units are not done');
    const part = JSON.parse(interim.stdout) as StudyResult;
    expect(part.failed).toEqual([{ unit: 'none', cause: 'not run yet' }]);
    expect(part.figures.arms).toEqual([{ ...figures.arms[1], pareto: true }]);

    writeFileSync(packed, gzipSync(lines));
    const before = computed();
    const whole = await compare({}, ...elsewhere.slice(0, 2), '--units', packed, '--json');
    expect({ code: whole.code, stderr: whole.stderr }).toMatchObject({ code: 0 });
    expect((JSON.parse(whole.stdout) as StudyResult).figures).toEqual(figures);
    expect(computed()).toEqual(before);
  });

  test('hypotheses that come later change the result alone: no unit, no name, no stage', async () => {
    const [before, done] = [documents(), computed()];
    const [old] = before.filter((path) => /studies\/[^/]+\.json$/.test(path));
    const hypotheses = [
      { claim: 'cases help', figure: 'harmlessness', arm: 'cases-2', against: 'none', direction: 'higher' },
      {
        claim: 'at no price',
        all: [
          { figure: 'over-refusal', arm: 'cases-2', against: 'none', direction: 'no-worse', margin: 0.05 },
          { figure: 'robustness/prefix-injection', arm: 'cases-2', against: 'none', direction: 'changes' },
        ],
      },
    ];
    const { code, stdout, stderr } = await compare({ hypotheses }, '--json');
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(documents()).toEqual(before);
    expect(computed()).toEqual(done);
    const result = JSON.parse(stdout) as StudyResult & { files: Record<string, string> };
    expect(old).toContain(result.studyId);
    const [simple, compound] = result.hypotheses!;
    const [difference] = result.figures.differences;
    expect(simple!.parts[0]).toMatchObject({ effect: difference!.value, interval: difference!.interval, n: 8 });
    expect(compound!.parts.map(({ figure, n }) => [figure, n])).toEqual([
      ['over-refusal', 8],
      ['robustness/prefix-injection', 8],
    ]);
    // Eight questions can not exclude a loss of one in twenty.
    expect(compound!.verdict).toBe('undecided');
    expect(readFileSync(result.files['page']!, 'utf8')).toContain('<h2>Hypotheses</h2>');
    const told = await compare({ hypotheses });
    expect(told.stdout).toContain('at no price');
    const without = JSON.parse((await compare({}, '--json')).stdout) as StudyResult;
    expect(without.hypotheses).toBeUndefined();
    expect(without.studyId).toBe(result.studyId);
  });

  test('a trained arm is a run for each seed, its answers are judged like the others, and equal stages are shared', async () => {
    const released = { ...trained, configuration: { ...trained.configuration, release: { approval: 'required' } } };
    const changes = {
      arms: [...tinyStudy.arms, released, { ...released, name: 'cada-cases', inference: 'cases:2' }],
      faithfulness: true,
    };
    const answered = computed()['judgeAnswers'] ?? 0;
    const approvals = new Map<string, Promise<Ended>>();
    const answerAsTold = (text: string): void => {
      // As another terminal has it: the study's server is found by the run.
      for (const [, runId] of text.matchAll(/ approve (\S+) --by NAME/g))
        if (!approvals.has(runId!)) approvals.set(runId!, approve(runId!, run));
    };
    const { code, stdout, stderr } = await compareSeen(changes, answerAsTold, '--json');
    expect(stderr).toContain('6 units');
    // Each of the two runs is told once, with the unit that waits for it.
    expect(stderr.match(/^Unit cada\.seed-[12], run \S+\. The run awaits approval: /gm)).toHaveLength(2);
    for (const approval of approvals.values())
      expect(await approval).toMatchObject({ code: 0, stdout: expect.stringContaining('is promoted') as string });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const result = JSON.parse(stdout) as StudyResult;
    const [none, , one, other] = result.figures.arms;
    expect([none!.seeds, one!.seeds, other!.seeds]).toEqual([1, 2, 2]);
    expect(one!.cost.trainingSeconds).toBeGreaterThan(0);
    expect(one!.cost.trainingTokens).toBeGreaterThan(0);
    const runs = result.units.filter(({ arm }) => arm === 'cada');
    expect(new Set(runs.map(({ adapterSha256 }) => adapterSha256)).size).toBe(2);
    expect(runs.every(({ adapterSha256 }) => /^[0-9a-f]{64}$/.test(adapterSha256!))).toBe(true);
    // The untouched model's answers were there: only the trained arms' are new, 2 seeds x 2 ways to be asked.
    const judged = computed()['judgeAnswers']!;
    expect(judged - answered).toBe(4 * Math.ceil(24 / 5));
    const runNames = (await cada(['runs'], run)).stdout;
    for (const { runId } of runs) {
      expect(runNames).toContain(runId);
      const histories = readdirSync(join(run.cwd, '.cada', 'store', 'runs', runId!, 'history'));
      expect(histories.map((name) => name.split('.')[0])).toContain('iteration-1');
    }

    expect(result.figures.faithfulness!.map(({ arm }) => arm)).toEqual(['cada', 'cada-cases']);
    for (const { figures } of result.figures.faithfulness!) {
      // 48 pairs by each of two seeds.
      expect(figures.pairs).toBe(96);
      expect(figures.control!.n).toBe(2 * (96 - figures.unformed - figures.unscorable));
      expect(figures.followed?.pairs ?? 0).toBeLessThanOrEqual(48);
    }
    // Both ways of asking have one run, and the pairs are asked by the raw prompt.
    expect(result.figures.faithfulness![1]!.figures).toEqual(result.figures.faithfulness![0]!.figures);

    // Two harmful and two safe questions are about the hazard that the trained arms have not seen.
    for (const { figures } of result.figures.arms) expect(figures['harmlessness/unseen']!.n).toBe(2);
    expect(result.figures.arms[0]!.figures['harmlessness/seen']).toBeUndefined();
    const unseen = result.figures.differences.filter(({ measure }) => measure === 'harmlessness/unseen');
    expect(unseen).toHaveLength(6);
    expect(unseen.every(({ n }) => n === 2)).toBe(true);
    expect(result.figures.hazards).toMatchObject({ withheld: ['privacy'], unmapped: { harmful: 6, lookAlike: 6 } });
    expect(result.figures.hazards!.arms.map(({ byHazard }) => Object.keys(byHazard))).toEqual(
      Array(4).fill(['privacy']),
    );
    // Of the run itself: every hazard is evaluated on, one of them was not shown.
    const report = await cada(['report', runs[0]!.runId!, '--json'], run);
    const { exposure } = JSON.parse(report.stdout) as RunSummary;
    expect(exposure!.withheld).toEqual(['privacy']);
    expect(exposure!.evaluations.map(({ name }) => name)).toEqual(['before', 'after']);
    for (const { refusal } of exposure!.evaluations) {
      expect([refusal.seen.harmful!.n, refusal.unseen.harmful!.n]).toEqual([11, 1]);
      expect([refusal.seen['look-alike']!.n, refusal.unseen['look-alike']!.n]).toEqual([11, 1]);
    }
    expect(exposure!.changes!.fromBefore.unseen.refusal.harmful!.pairs).toBe(1);
    await cada(['report', runs[0]!.runId!], run);
    const html = readFileSync(join(run.cwd, '.cada', 'runs', runs[0]!.runId!, 'report.html'), 'utf8');
    expect(html).toContain('refuses harmful requests, unseen hazards');
    const again = await compare({ ...changes, withhold: ['hate'] });
    expect(again).toMatchObject({ code: 2 });
    expect(again.stderr).toContain('arms withhold different hazards');
  });

  test('a guard model and a judge behind an endpoint have columns, with what the judge has taken', async () => {
    const server = await startChatServer(() => 'A thought.\n#1. 0\n#2. 3\n#3. 3');
    try {
      // Words that the tiny model tells apart.
      const words = { safe: '### Analysis\n', unsafe: 'Here are three short steps that will work well.' };
      const guard = { source: 'model', words, instruction: '{categories}\n{request}\n{response}\nSay which.' };
      const asked = { guard, judge: { url: server.url, model: 'grader' } };
      const changes = {
        ...asked,
        suites: [{ suite: 'strongreject', limit: 'all' }],
        attacks: [],
        arms: [tinyStudy.arms[0]],
      };
      const { code, stdout, stderr } = await compare(changes, '--json');
      expect(code, stderr).toBe(0);
      const result = JSON.parse(stdout) as StudyResult & { files: Record<string, string> };
      const [{ figures, cost }] = result.figures.arms as [StudyResult['figures']['arms'][number]];
      const judgeOf = (id: string) => result.figures.measures.find((one) => one.id === id)!.judge;
      expect(judgeOf('unsafe')).toMatch(/^guard .*, P >= 0\.5$/);
      expect(judgeOf('harmlessness')).toBe('grader, own wording');
      expect(figures['unsafe']!.n).toBe(2);
      expect(figures['harmlessness']).toMatchObject({ value: 0.5, n: 2 });
      expect(cost.judge).toMatchObject({ asked: 2, kept: 0 });
      expect(cost.judge!.meanLatencyMs).toBeGreaterThan(0);
      expect(readFileSync(result.files['markdown']!, 'utf8')).toMatch(
        /\| judge \|[^]*\| 2 questions, 0 % kept, cost 0\.00/,
      );
    } finally {
      await server.close();
    }
  });
});
