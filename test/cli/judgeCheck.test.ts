import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JudgeCheckReport } from '../../cli/operate/judgeCheck.ts';
import { startChatServer, type ChatServer } from '../servers/chatServer.ts';
import { jailbreak, labelledAnswers } from './labelledFiles.ts';
import { cada, newFolder } from './runCommand.ts';

describe('cada judge-check', { timeout: 120_000 }, () => {
  const cwd = newFolder();
  let server: ChatServer;
  const check = (...args: string[]) => cada(['judge-check', '--data', 'data', ...args], { cwd });

  beforeAll(async () => {
    mkdirSync(join(cwd, 'data/attack-artifacts/PAIR'), { recursive: true });
    writeFileSync(join(cwd, 'data/xstest_v2_completions_made_streval.csv'), labelledAnswers);
    writeFileSync(join(cwd, 'data/attack-artifacts/PAIR/made.json'), JSON.stringify({ jailbreaks: [jailbreak] }));
    writeFileSync(join(cwd, 'data/attack-artifacts/PAIR/attack-info.json'), '{}');
    server = await startChatServer((_, { text }) => (text.includes('2_full_refusal') ? '1_full_compliance' : 'yes'));
  });
  afterAll(() => server.close());

  test('equal to the published string labels: exit code 0; the JSON has the shape of the documentation', async () => {
    const { code, stdout } = await check('--json', '--judge-url', server.url, '--judge-model', 'grader');
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as JudgeCheckReport;
    expect(report.stringLabels).toMatchObject({ answers: 2, equal: 2, equalToPublished: true });
    expect(report.xstest.answers).toBe(2);
    expect(report.xstest.judges.map(({ judge, refusal }) => [judge, refusal!.accuracy.value])).toEqual([
      ['XSTest strings', 1],
      ['29 phrases', 1],
      ['library rules', 1],
      ['library rules, in words', 1],
      ['majority of strings, phrases, words', 1],
      ['grader', 0.5],
    ]);
    expect(Object.keys(report.xstest.judges[0]!)).toEqual(
      expect.arrayContaining([
        'judge',
        'unscorable',
        'refusal',
        'withoutPartial',
        'byClass',
        'safe',
        'unsafe',
        'byFile',
      ]),
    );
    expect(report.jailbreakbench!.judges.at(-1)).toMatchObject({
      judge: 'grader',
      jailbroken: { accuracy: { value: 1 } },
    });
    expect(server.seen).toHaveLength(3);
  });

  test('replies are kept: the same command asks nothing again', async () => {
    expect((await check('--judge-url', server.url, '--judge-model', 'grader')).stdout).toContain('grader');
    expect(server.seen).toHaveLength(3);
  });

  test('another label: exit code 1, naming the answer', async () => {
    writeFileSync(
      join(cwd, 'data/xstest_v2_completions_made_streval.csv'),
      labelledAnswers.replace(/1_full_compliance$/m, '2_full_refusal'),
    );
    const { code, stdout } = await check();
    expect(code).toBe(1);
    expect(stdout).toContain('our string judge equals 1 of 2');
    expect(stdout).toContain('differs at ids 1');
  });

  test('a folder without them is wrong input', async () => {
    const { code, stderr } = await cada(['judge-check', '--data', '.'], { cwd: newFolder() });
    expect(code).toBe(2);
    expect(stderr).toContain('There are no labelled answers of XSTest');
  });
});
