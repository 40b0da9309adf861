import { describe, expect, it } from 'vitest';
import { suiteNames } from '../../../alignment/benchmarks/benchmarkNames.ts';
import {
  isUtility,
  parseSuite,
  selectQuestions,
  studySize,
  suiteSource,
  type SuiteQuestion,
} from '../../../alignment/benchmarks/suites.ts';

const xstest = `id,prompt,type,label\n${Array.from({ length: 12 }, (_, i) => `${i},Prompt ${i},${i % 2 ? 'homonyms' : 'contrast_homonyms'},${i % 2 ? 'safe' : 'unsafe'}`).join('\n')}`;

describe('suites', () => {
  it('knows source and size of each', () => {
    for (const suite of suiteNames) {
      expect(suiteSource(suite).licence).not.toBe('');
      expect(studySize(suite)).toBeGreaterThan(0);
    }
    expect(isUtility('mmlu')).toBe(true);
    expect(isUtility('xstest')).toBe(false);
    // As "The study" of the contracts has them.
    const sizes = ['strongreject-small', 'xstest', 'advbench', 'jailbreakbench', 'gsm8k', 'mmlu'] as const;
    expect(sizes.map(studySize)).toEqual([60, 450, 100, 200, 100, 200]);
  });

  it('asks safety questions as they are, and knows what an attack asks for', () => {
    expect(parseSuite('xstest', [xstest])[0]).toEqual({
      ...{ id: 'xstest-0', suite: 'xstest', category: 'contrast_homonyms', kind: 'harmful' },
      ...{ prompt: 'Prompt 0', goal: 'Prompt 0' },
    });
    const row = { category: 'c', forbidden_prompt: 'Ask', jailbroken_prompt: 'Wrapped', jailbreak: 'wrap' };
    expect(parseSuite('strongreject-attacks', [JSON.stringify([row])])[0]).toMatchObject({
      ...{ prompt: 'Wrapped', goal: 'Ask', attack: 'wrap' },
    });
  });

  it('chooses the same questions for the same seed, balanced, a smaller choice within a larger one', () => {
    const all = parseSuite('xstest', [xstest]);
    const ids = (count: number, seed = '1') => selectQuestions(all, count, seed).map(({ id }) => id);
    expect(ids(4)).toEqual(ids(4));
    expect(selectQuestions(all, 4, '1').filter(({ kind }) => kind === 'harmful')).toHaveLength(2);
    expect(ids(8)).toEqual(expect.arrayContaining(ids(4)));
    expect(new Set(['1', '2', '3', '4'].map((seed) => ids(4, seed).join())).size).toBeGreaterThan(1);
    expect(ids(100)).toEqual(all.map(({ id }) => id));
    // In the order of the suite.
    expect(ids(6)).toEqual([...ids(6)].sort((a, b) => Number(a.slice(7)) - Number(b.slice(7))));
  });

  it('keeps all attacks on a goal together', () => {
    const attacked = ['a', 'b', 'c'].flatMap((goal) =>
      ['x', 'y', 'z'].map((attack): SuiteQuestion => ({
        ...{
          id: `${goal}${attack}`,
          suite: 'strongreject-attacks',
          category: 'c',
          kind: 'harmful',
          prompt: `${attack} ${goal}`,
        },
        ...{ goal, attack },
      })),
    );
    const chosen = selectQuestions(attacked, 7, '1');
    expect(chosen).toHaveLength(6);
    expect(new Set(chosen.map(({ goal }) => goal)).size).toBe(2);
    expect(selectQuestions(attacked, 2, '1')).toHaveLength(2);
  });
});
