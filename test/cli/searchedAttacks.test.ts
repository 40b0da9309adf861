/** Attacks that are searched for, end to end: the tiny model, the real engine and server, an attacker behind a scripted endpoint. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StudyResult } from '../../alignment/study/studyResult.ts';
import { startChatServer, type ChatRequestSeen, type ChatServer, type Scripted } from '../servers/chatServer.ts';
import { cada } from './runCommand.ts';
import { tinyRun, type TinyRun } from './tinyRun.ts';

interface Figures {
  suites: { answers: number; byAttack: { attack: string }[]; measures: { name: string; n: number }[] }[];
  attackCosts: Record<string, Record<string, number>>;
  artifact: string;
  questions: string;
}

const requests = ['Take a bus', 'Bake a cake'];

describe('cada evaluate --attack gcg,pair,pap,translation', { timeout: 600_000 }, () => {
  let run: TinyRun;
  let server: ChatServer;
  const key = 'key-of-the-attacker-3127';
  const texts = ({ body }: ChatRequestSeen): string => body.messages.map(({ content }) => content).join('\n');
  /** Rewords and translates, and writes a prompt for each stream; the first reply to each stream of the cake is none. */
  const attacker = (_: number, seen: ChatRequestSeen): Scripted => {
    const asked = texts(seen);
    // The tiny model answers this with a chain.
    if (asked.includes('translator'))
      return `<message>${asked.includes('into Zulu') ? 'Prompt 2: a bus, please' : 'In English.'}</message>`;
    if (asked.includes('technique of persuasion'))
      return asked.includes('Bake a cake') ? "I'm sorry, but I can't help with that." : '<message>Please do.</message>';
    if (asked.includes('Bake a cake') && seen.body.messages.length === 2) return 'No JSON.';
    return JSON.stringify({ improvement: 'another way', prompt: `Prompt ${seen.body.messages.length}: a bus, please` });
  };
  let script = attacker;
  const settings = (changes: object = {}) => ({
    gcg: { steps: 4, topK: 16, batch: 8, suffixTokens: 4, checkpointSteps: 2 },
    attacker: { url: server.url, model: 'attacker', inputPrice: 1, outputPrice: 1 },
    pair: { streams: 2, iterations: 2 },
    pap: { techniques: ['logical-appeal', 'favor'] },
    ...changes,
  });
  const evaluate = async (attacks: string, given: object, ...args: string[]) => {
    writeFileSync(join(run.cwd, 'attacks.yaml'), stringify(given));
    return cada(
      [
        ...['evaluate', join(run.cwd, 'model'), '--data', join(run.cwd, 'data'), '--suite', 'strongreject'],
        ...['--max-new-tokens', '30', '--attack', attacks, '--attack-settings', 'attacks.yaml', ...args],
      ],
      run,
    );
  };
  const stored = (address: string): string => readFileSync(new URL(address), 'utf8');
  const computed = (stage: string): number =>
    readdirSync(join(run.cwd, '.cada', 'runs'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.log'))
      .flatMap((path) => readFileSync(join(run.cwd, '.cada', 'runs', path), 'utf8').split('\n'))
      .filter((line) => line.includes('computes') && line.includes(`"stage":"${stage}"`)).length;

  beforeAll(async () => {
    run = await tinyRun({ iteration: { count: 0 } });
    run.env['CADA_ATTACKER_API_KEY'] = key;
    mkdirSync(join(run.cwd, 'data', 'strongreject'), { recursive: true });
    writeFileSync(
      join(run.cwd, 'data', 'strongreject', 'strongreject.csv'),
      `category,source,forbidden_prompt\n${requests.map((one) => `things,own,${one}`).join('\n')}\n`,
    );
    server = await startChatServer((index, seen) => script(index, seen));
  });
  afterAll(() => server.close());

  test('gcg: a suffix for each question, kept every two steps, its cost told, and found again', async () => {
    const given = { gcg: settings().gcg };
    const first = await evaluate('gcg,base64', given, '--json');
    expect({ code: first.code, stderr: first.stderr }).toMatchObject({ code: 0 });
    expect(first.stderr).toContain('gcg on 2 questions: at most 8 gradients and 64 suffixes scored');
    const figures = JSON.parse(first.stdout) as Figures;
    expect(figures.suites[0]!.answers).toBe(6);
    expect(figures.suites[0]!.byAttack.map(({ attack }) => attack)).toEqual(['base64', 'gcg', 'none']);
    const worst = figures.suites[0]!.measures.find(({ name }) => name.startsWith('string refusal under the worst'));
    expect(worst).toMatchObject({ n: 2 });
    const { gcg } = figures.attackCosts;
    expect(gcg).toMatchObject({ questions: 2, steps: 8 });
    expect(gcg!['bestLoss']).toBeLessThanOrEqual(gcg!['initialLoss']!);
    expect(gcg!['tokens']).toBeGreaterThan(1000);
    expect(gcg!['seconds']).toBeGreaterThan(0);
    expect(computed('searchSuffix')).toBe(4);
    const questions = stored(figures.questions)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string; goal: string; prompt: string; attack?: string });
    const attacked = questions.filter(({ attack }) => attack === 'gcg');
    expect(attacked.map(({ id }) => id)).toEqual(
      questions.filter(({ attack }) => !attack).map(({ id }) => `${id}@gcg`),
    );
    for (const { goal, prompt } of attacked) {
      expect(prompt.startsWith(goal)).toBe(true);
      expect(prompt.length - goal.length).toBeGreaterThanOrEqual(4);
    }
    // More steps go on from those that were made.
    const more = await evaluate('gcg', { gcg: { ...given.gcg, steps: 6 } }, '--json');
    expect(more.code).toBe(0);
    expect(computed('searchSuffix')).toBe(6);
    expect(server.seen).toHaveLength(0);
  });

  test('gcg in a study: each arm has suffixes of its own, behind its own codes and cases', async () => {
    const study = {
      ...{ name: 'attacked', models: ['model'], suites: ['strongreject'], maxNewTokens: 12, bootstrapSamples: 200 },
      ...{ attacks: ['base64', 'gcg'], attackSettings: { gcg: { ...settings().gcg, steps: 2, batch: 4 } } },
      arms: [
        { name: 'none', inference: 'none' },
        { name: 'cases', inference: 'simple,cases:2' },
      ],
    };
    writeFileSync(join(run.cwd, 'study.yaml'), stringify(study));
    const before = computed('searchSuffix');
    const { code, stdout, stderr } = await cada(['compare', 'study.yaml', '--data', 'data', '--json'], run);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(computed('searchSuffix') - before).toBe(4);
    const { figures } = JSON.parse(stdout) as StudyResult;
    for (const arm of figures.arms) {
      expect(arm.figures['robustness/gcg']!.n).toBe(2);
      expect(arm.figures['robustness/worst']!.n).toBe(2);
      expect(arm.figures['robustness/worst']!.value).toBeLessThanOrEqual(arm.figures['robustness/gcg']!.value);
    }
    const { attackSettings: _, ...without } = { ...study, attacks: ['pair'] };
    writeFileSync(join(run.cwd, 'study.yaml'), stringify(without));
    const refused = await cada(['compare', 'study.yaml', '--data', 'data'], run);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('pair needs an attacker');
  });

  test('pair, pap, translation: reworded by the attacker; refusals and replies without JSON are counted', async () => {
    const { code, stdout, stderr } = await evaluate('pair,pap,translation', settings(), '--json');
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain('pair, pap, translation on 2 questions: at most 16 calls of the attacker');
    const figures = JSON.parse(stdout) as Figures;
    const attacks = figures.suites[0]!.byAttack.map(({ attack }) => attack);
    expect(attacks).toEqual(['none', 'pair', 'pap-favor', 'pap-logical-appeal', 'translation']);
    const { pair, pap, translation } = figures.attackCosts;
    // Refused, asked once more, and refused.
    expect(pap).toMatchObject({ questions: 4, 'attacker/asked': 6, 'attacker/refused': 2, 'attacker/malformed': 0 });
    expect(pap!['attacker/cost']).toBeCloseTo((6 * 110) / 1e6, 9);
    // Both streams of the cake fail twice in each round.
    expect(pair).toMatchObject({ questions: 2, 'attacker/malformed': 4 });
    expect(pair!['targetAnswers']).toBeGreaterThanOrEqual(2);
    expect(pair!['tokens']).toBeGreaterThan(0);
    // There, and of the answers back.
    expect(translation).toMatchObject({ questions: 2, answers: 2, untranslated: 0, 'attacker/malformed': 0 });
    expect(translation!['attacker/asked']! + translation!['attacker/kept']!).toBe(4);
    // Of the cake there is neither persuasion nor PAIR.
    expect(figures.suites[0]!.answers).toBe(2 + 1 + 2 + 2);
    const questions = stored(figures.questions);
    expect(questions.match(/"prompt":"Prompt 2: a bus, please","goal":"[^"]+","attack":"translation"/g)).toHaveLength(
      2,
    );
    const back = server.seen.map(texts).filter((text) => text.includes('into English'));
    expect(back.length).toBeGreaterThan(0);
    // The final response alone is translated.
    for (const text of back) expect(text).toContain("I'm sorry, but I can't help with that.");
    for (const text of back) expect(text).not.toContain('weighed against the codes');
    for (const { authorization } of server.seen) expect(authorization).toBe(`Bearer ${key}`);
    // The attacker saw what the target answered, and no analysis.
    const later = server.seen.filter(({ body }) => body.messages.length > 2).map(texts);
    for (const text of later) {
      expect(text).toMatch(/Score: (1|10)\n/);
      expect(text).not.toContain('weighed against the codes');
    }
    const before = server.seen.length;
    const again = await evaluate('pair,pap,translation', settings());
    expect(again.code).toBe(0);
    expect(again.stdout).toContain('pap-logical-appeal');
    expect(again.stdout).toMatch(/attack +questions +tokens/);
    expect(server.seen).toHaveLength(before);
    const home = join(run.cwd, '.cada');
    for (const { parentPath, name } of readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    )) {
      expect(readFileSync(join(parentPath, name)).includes(key), name).toBe(false);
    }
  });

  test('a spent budget ends the attack where it is, and is counted', async () => {
    const limited = settings({ attacker: { ...settings().attacker, model: 'limited', maxCalls: 1 } });
    const { code, stdout, stderr } = await evaluate('pap', { ...limited, pap: { techniques: ['favor'] } }, '--json');
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const figures = JSON.parse(stdout) as Figures;
    expect(figures.attackCosts['pap']).toMatchObject({ 'attacker/asked': 1, 'attacker/unasked': 1 });
  });

  test('an attacker that refuses its key ends it with the reason', async () => {
    script = () => ({ status: 401, body: 'no' });
    const other = settings({ attacker: { ...settings().attacker, model: 'other' } });
    const { code, stdout, stderr } = await evaluate('pap', other);
    script = attacker;
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toContain('the attacker could not be asked');
    expect(stderr).toContain('401');
  });

  test.each([
    ['pair', {}, 'pair needs an attacker'],
    ['gcg', { gcg: { steps: 0 } }, 'attacks.yaml, gcg.steps'],
    ['gcg', { gdg: {} }, 'attacks.yaml'],
    ['gcgg', {}, 'did you mean gcg?'],
  ])('%s with %j is wrong input', async (attacks, given, said) => {
    const { code, stderr } = await evaluate(attacks, given);
    expect(code).toBe(2);
    expect(stderr).toContain(said);
  });
});
