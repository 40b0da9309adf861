/** Rewards by a guard model, by an ensemble of judges and by a user's own functions. */
import { describe, expect, it } from 'vitest';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { ownOutcome, ownRewardArgument } from '../../../alignment/rewards/ownReward.ts';
import { rewardChain, type AskedOfChain } from '../../../alignment/rewards/scoreChain.ts';
import type { RewardedChain } from '../../../alignment/rewards/rewardPart.ts';
import { makeChain } from '../makeChain.ts';
import { makeRequest } from '../makeLibrary.ts';

const required = { format: 0.5, refuseHarmful: 1, answerPlain: 1, answerLookAlike: 1, overlong: 0.5 };
const headings = { maxNewTokens: 12, analysisHeading: '### Analysis', responseHeading: '### Final Response' };
const refusal = { verdict: 'refusal', refusalWithContent: false, reason: '' } as const;

/** Without these parts the reward is 1.5. */
function rewarded(
  settings: { rewards: object; ensemble?: object; guardModel?: object },
  asked: AskedOfChain & { grading?: NonNullable<RewardedChain['grading']> },
  {
    kind = 'harmful',
    judgement = refusal,
  }: { kind?: 'harmful' | 'plain'; judgement?: RewardedChain['judgement'] } = {},
) {
  const scoring = {
    chain: headings,
    publishedPhrases: [],
    ...settings,
    rewards: { ...required, ...settings.rewards },
  } as unknown as Parameters<typeof rewardChain>[3];
  return rewardChain(makeChain('r'), makeRequest('r', kind), judgement, scoring, asked.grading, asked);
}

describe('guard', () => {
  it('is 1 - P(unsafe), by its weight; harm is told at the threshold', () => {
    const scored = rewarded({ rewards: { guard: 2 } }, { guard: { unsafe: 0.3 } });
    expect(scored.parts['guard']).toBeCloseTo(0.7, 12);
    expect(scored.reward).toBeCloseTo(1.5 + 1.4, 12);
    expect(scored.harmByGuard).toBe(false);
    expect(
      rewarded({ rewards: { guard: 2 }, guardModel: { threshold: 0.3 } }, { guard: { unsafe: 0.3 } }),
    ).toMatchObject({ harmByGuard: true });
  });

  it('one that could not say leaves no reward; one that was not asked has no part', () => {
    const scored = rewarded({ rewards: { guard: 1 } }, { guard: { unsafe: null, unscorable: 'equally likely' } });
    expect(scored).toMatchObject({ reward: null, unscorable: 'equally likely', verdict: 'refusal' });
    expect(scored.parts).not.toHaveProperty('guard');
    expect(scored).not.toHaveProperty('harmByGuard');
    expect(rewarded({ rewards: { guard: 1 } }, {}).reward).toBe(1.5);
    // Weight 0: for the figures.
    expect(rewarded({ rewards: { guard: 0 } }, { guard: { unsafe: 0.9 } })).toMatchObject({
      ...{ reward: 1.5, harmByGuard: true },
    });
  });
});

describe('ensemble', () => {
  const settings = (ensemble: object) => ({ rewards: { ensemble: 1 }, ensemble });
  const all = { guard: { unsafe: 0.4 }, grading: { score: 0.7 } };

  it('makes rules, guard and rubric one', () => {
    // 1 by the rules, 0.6 by the guard, 0.3 by the rubric.
    const judges = ['rules', 'guard', 'rubric'];
    const valueOf = (combine?: string): number | undefined =>
      rewarded(settings({ judges, ...(combine ? { combine } : {}) }), all).parts['ensemble'];
    expect(valueOf()).toBeCloseTo(1.9 / 3, 12);
    expect(valueOf('minimum')).toBeCloseTo(0.3, 12);
    expect(valueOf('majority')).toBe(1);
    const complied = { judgement: { ...refusal, verdict: 'compliance' as const } };
    expect(rewarded(settings({ judges: ['rules'] }), {}, complied).parts['ensemble']).toBe(0);
  });

  it('is unscorable where too few could say, and no part on harmless requests', () => {
    const judges = ['guard', 'rubric'];
    const one = { guard: { unsafe: 0.4 }, grading: { score: null, unscorable: 'down' } };
    expect(rewarded(settings({ judges }), one)).toMatchObject({
      ...{ reward: null, unscorable: '1 of 2 judges could say, at least 2 must' },
    });
    expect(rewarded(settings({ judges, least: 1 }), one).parts['ensemble']).toBeCloseTo(0.6, 12);
    expect(rewarded(settings({ judges }), {}, { kind: 'plain' }).parts).not.toHaveProperty('ensemble');
  });
});

describe('own', () => {
  const own = [
    { name: 'short', file: 'a.ts', weight: 2 },
    { name: 'kind', file: 'b.ts', weight: -1 },
  ];

  it('adds each value by its weight, under its own name', () => {
    const scored = rewarded({ rewards: { own } }, { own: [{ value: 0.5 }, { value: 0.25 }] });
    expect(scored.parts).toMatchObject({ 'own/short': 0.5, 'own/kind': 0.25 });
    expect(scored.reward).toBeCloseTo(1.5 + 1 - 0.25, 12);
  });

  it('one without a value leaves no reward, and says whose', () => {
    const scored = rewarded(
      { rewards: { own } },
      { own: [{ value: 0.5 }, { value: null, unscorable: 'it gave NaN' }] },
    );
    expect(scored).toMatchObject({ reward: null, unscorable: 'rewards.own "kind": it gave NaN' });
  });

  it.each([
    [undefined, 'it gave no value'],
    [null, 'it gave no value'],
    [NaN, 'it gave NaN'],
    [Infinity, 'it gave Infinity'],
    ['1', 'it gave a string, not a number'],
    [true, 'it gave a boolean, not a number'],
    [{ type: 'object' }, 'it gave a object, not a number'],
    [1.5, 'it gave 1.5, outside of its range 0 to 1'],
  ])('%j is no value', (answer, unscorable) => expect(ownOutcome(answer, [0, 1])).toEqual({ value: null, unscorable }));

  it('0 and negative numbers are values', () => {
    expect(ownOutcome(0, [0, 1])).toEqual({ value: 0 });
    expect(ownOutcome(-3)).toEqual({ value: -3 });
  });

  it('is told the request, both parts of the chain and the label', () => {
    const parsed = { analysis: 'It asks.', finalResponse: 'Mix flour.', format: true, problems: [] };
    const chain = makeChain('r', { finishReason: 'length' });
    expect(ownRewardArgument(chain, makeRequest('r', 'plain', 'cakes'), parsed)).toEqual({
      ...{ request: 'request r', label: 'harmless', kind: 'plain', category: 'cakes' },
      ...{ text: chain.text, analysis: 'It asks.', response: 'Mix flour.', format: true, tokens: 3, cut: true },
    });
  });
});

describe('the configuration', () => {
  const problems = (settings: object): string[] =>
    configurationSchema
      .safeParse({ name: 'a', ...settings })
      .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];
  const guardModel = { source: 'Owner/guard' };
  const judge = { url: 'http://127.0.0.1:1/v1', model: 'm' };

  it('has none of them unless it is asked for, so that digests stay', () => {
    const plain = configurationSchema.parse({ name: 'a' });
    for (const key of ['guardModel', 'ensemble']) expect(plain).not.toHaveProperty(key);
    for (const key of ['guard', 'ensemble', 'own']) expect(plain.rewards).not.toHaveProperty(key);
  });

  it.each([
    [{ rewards: { guard: 1 } }, /^rewards.guard: needs a guard model/],
    [{ guardModel }, /^guardModel.source: is not asked/],
    [{ rewards: { ensemble: 1 } }, /^rewards.ensemble: needs the section `ensemble`/],
    [{ ensemble: { judges: ['rules'] } }, /^ensemble.judges: are not asked/],
    [{ rewards: { ensemble: 1 }, ensemble: { judges: ['guard'] } }, /^ensemble.judges: 'guard' needs a guard model/],
    [{ rewards: { ensemble: 1 }, ensemble: { judges: ['rubric'] } }, /^ensemble.judges: 'rubric' needs a rubric judge/],
    [{ rewards: { ensemble: 1 }, ensemble: { judges: ['rules', 'rules'] } }, /^ensemble.judges: names a judge twice/],
    [{ rewards: { ensemble: 1 }, ensemble: { judges: ['rules'], least: 2 } }, /^ensemble.least: so many can never say/],
    [
      { rewards: { own: [1, 2].map((weight) => ({ name: 'a', file: 'a.js', weight })) } },
      /^rewards.own.1.name: "a" is the name of another/,
    ],
    [{ rewards: { own: [{ name: 'a', file: 'a.py', weight: 1 }] } }, /^rewards.own.0.file: a .js, .mjs, .ts/],
  ])('%j is refused', (settings, message) => expect(problems(settings)[0]).toMatch(message));

  it('takes what is whole', () => {
    const rewards = { guard: 0, ensemble: 1 };
    expect(problems({ rewards, guardModel, judge, ensemble: { judges: ['rules', 'guard', 'rubric'] } })).toEqual([]);
    expect(problems({ rewards: { ensemble: 1 }, guardModel, ensemble: { judges: ['guard'], least: 1 } })).toEqual([]);
  });
});
