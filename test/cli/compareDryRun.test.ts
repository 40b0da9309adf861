import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { dryRun } from '../../cli/operate/compareDryRun.ts';
import { readStudy } from '../../cli/operate/compareFile.ts';
import { describeDryRun } from '../../cli/studyPlan.ts';

describe('a dry run of a study', () => {
  let folder: string;
  const study = {
    ...{ name: 'dry', models: ['owner/Some-8B-Instruct'], maxNewTokens: 100, attacks: ['base64'] },
    suites: ['xstest', { suite: 'mmlu', limit: 30 }],
    base: { warmStart: { requests: { harmful: 8, plain: 0, lookAlike: 0 } }, iteration: { count: 0 } },
    arms: [
      { name: 'none', inference: 'none' },
      { name: 'all', configuration: { trained: 'all' } },
      { name: 'lora', configuration: {} },
    ],
  };
  const planned = async (changes: object = {}) => {
    writeFileSync(join(folder, 'study.yaml'), stringify({ ...study, ...changes }, { aliasDuplicateObjects: false }));
    return dryRun(await readStudy(join(folder, 'study.yaml')), join(folder, 'data'));
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cada-dry-'));
    mkdirSync(join(folder, 'data', 'xstest'), { recursive: true });
    const rows = ['safe', 'safe', 'unsafe'].map((label, id) => `${id},How do I do thing ${id}?,homonyms,${label}`);
    writeFileSync(join(folder, 'data', 'xstest', 'xstest_prompts.csv'), ['id,prompt,type,label', ...rows].join('\n'));
  });

  test('counts questions, answers, tokens and memory, and says what it could not look at', async () => {
    const { suites, answersPerUnit, units, unchecked, calls } = await planned();
    expect(suites).toEqual([
      { suite: 'xstest', questions: 3, harmful: 1, read: true },
      { suite: 'mmlu', questions: 30, harmful: 0, read: false },
    ]);
    // 33 questions, and the harmful one once more.
    expect(answersPerUnit).toBe(34);
    expect(units.map(({ unit, memoryBytes, tokens }) => [unit, memoryBytes, tokens.answers])).toEqual([
      ['none', 32e9, 3400],
      ['all.seed-1234', 128e9, 3400],
      ['lora.seed-1234', 32e9, 3400],
    ]);
    expect(units[0]).toMatchObject({ runId: null, tokens: { chains: 0, trained: 0 } });
    expect(units[1]!.runId).toMatch(/^dry-all-[0-9a-f]{8}$/);
    expect(units[1]!.tokens.trained).toBeGreaterThan(0);
    expect(calls).toEqual({ judge: 0, attacker: 0 });
    expect(unchecked.map((one) => one.split(':')[0])).toEqual(['mmlu', 'model owner/Some-8B-Instruct']);
  });

  test('counts the calls of judge and attacker', async () => {
    const endpoint = { url: 'http://127.0.0.1:1/v1', model: 'm' };
    const { calls, unchecked, answersPerUnit } = await planned({
      ...{ attacks: ['pair', 'pap'], judge: { ...endpoint, votes: 3 } },
      attackSettings: {
        attacker: endpoint,
        pair: { streams: 2, iterations: 5 },
        pap: { techniques: ['misrepresentation'] },
      },
      arms: [study.arms[0]],
    });
    // One harmful question: itself, and under each attack once; PAIR tries ten wordings.
    expect(answersPerUnit).toBe(35);
    expect(calls.attacker).toBe(11);
    // Three answers by three votes, ten attempts, and whether two safe ones are refused.
    expect(calls.judge).toBe(3 * 3 + 10 + 2);
    expect(unchecked).toContain('judge m at http://127.0.0.1:1/v1: not asked whether it answers');
    expect(unchecked).toContain('attacker m at http://127.0.0.1:1/v1: not asked whether it answers');
  });

  test('finds what is wrong without the network', async () => {
    const claim = { claim: 'c', figure: 'utility/mmlu', arm: 'all', against: 'none', direction: 'higher' };
    await expect(planned({ hypotheses: [claim] })).resolves.toBeDefined();
    await expect(planned({ hypotheses: [{ ...claim, figure: 'utility/bbh' }] })).rejects.toThrow(
      'this study has no figure "utility/bbh"',
    );
    const many = { requests: { harmful: 5000, plain: 0, lookAlike: 0 } };
    await expect(planned({ base: { warmStart: many } })).rejects.toThrow('Arm "all"');
    await expect(planned({ arms: [{ name: 'cases', inference: 'cases:64' }] })).rejects.toThrow();
    await expect(planned({ models: ['gone.gguf'] })).rejects.toThrow('there is nothing at');
  });

  test('of a library that is not there says so, and reads the rest', async () => {
    const { unchecked } = await planned({ base: { ...study.base, library: { path: './gone' } } });
    expect(unchecked.join('\n')).toContain(`library ${join(folder, 'gone')}: there is no such folder here`);
  });

  test('escapes what the file says', async () => {
    const text = describeDryRun({ ...(await planned()), unchecked: ['model \u001b[2J'] });
    expect(text).not.toContain('\u001b');
    expect(text).toContain('at most 10,200 tokens of answers');
  });
});

test("the paper's study goes through on a machine without its model, its requests and its endpoints, and starts nothing", () => {
  const home = mkdtempSync(join(tmpdir(), 'cada-dry-home-'));
  const env = { ...process.env, CADA_HOME: join(home, 'home'), CADA_CACHE: join(home, 'cache'), CADA_DATA: '' };
  const args = [resolve('cli/cada.js'), 'compare', resolve('studies/paper-8b.yaml'), '--dry-run', '--json'];
  // Whoever asks the network fails here: no such proxy.
  const offline = { HTTPS_PROXY: 'http://127.0.0.1:1', HTTP_PROXY: 'http://127.0.0.1:1' };
  const told = execFileSync(process.execPath, args, { env: { ...env, ...offline }, encoding: 'utf8' });
  const { units, suites, unchecked } = JSON.parse(told) as Awaited<ReturnType<typeof dryRun>>;
  expect(units.map(({ unit }) => unit.split('.')[0])).toEqual([
    ...['none', 'codes', 'cases', 'sft-refusal', 'sft-codes', 'sft-cases', 'da', 'cada', 'dpo'],
  ]);
  expect(suites.map(({ suite, questions }) => [suite, questions])).toEqual([
    ...[
      ['strongreject', 313],
      ['xstest', 450],
      ['bbh', 6511],
      ['mmlu', 14042],
    ],
  ]);
  expect(units.find(({ unit }) => unit.startsWith('sft-cases'))!.memoryBytes).toBe(128e9);
  const said = unchecked.join('\n');
  for (const one of [
    'model meta-llama/',
    'device cuda: not tried; there is no fallback',
    'library ',
    'judge ',
    'attacker ',
  ])
    expect(said).toContain(one);
  expect(readdirSync(home)).toEqual([]);
}, 120_000);
