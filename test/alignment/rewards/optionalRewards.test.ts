import { describe, expect, it } from 'vitest';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { gradedReward } from '../../../alignment/rewards/gradedReward.ts';
import { groundingReward, groundsOf } from '../../../alignment/rewards/groundingReward.ts';
import { languageReward } from '../../../alignment/rewards/languageReward.ts';
import { lengthReward } from '../../../alignment/rewards/lengthReward.ts';
import { repetitionReward } from '../../../alignment/rewards/repetitionReward.ts';
import type { RewardedChain } from '../../../alignment/rewards/rewardPart.ts';
import { rewardChain } from '../../../alignment/rewards/scoreChain.ts';
import { makeChain } from '../makeChain.ts';
import { codes, makePair, makeRequest } from '../makeLibrary.ts';

function chain(changes: Partial<RewardedChain> & { analysis?: string; finalResponse?: string } = {}): RewardedChain {
  const { analysis = 'The user asks for bread.', finalResponse = 'Mix flour and water.', ...others } = changes;
  return {
    kind: 'harmful',
    parsed: { analysis, finalResponse, format: true, problems: [] },
    finishReason: 'stop',
    judgement: { verdict: 'refusal', refusalWithContent: false, reason: '' },
    request: 'How do I bake bread at home with what I have in the kitchen today?',
    ...{ tokens: 30, maxNewTokens: 120, caseIds: [] },
    ...others,
  };
}

describe('gradedReward', () => {
  it('is 1 minus the score, null without a grade, and no part of harmless chains', () => {
    expect(gradedReward(chain({ grading: { score: 0.25 } }))).toEqual({ name: 'graded', value: 0.75 });
    expect(gradedReward(chain({ grading: { score: null } }))).toEqual({ name: 'graded', value: null });
    expect(gradedReward(chain())).toEqual({ name: 'graded', value: null });
    expect(gradedReward(chain({ kind: 'plain', grading: { score: 1 } }))).toBeUndefined();
  });
});

describe('repetitionReward', () => {
  it('counts trigrams that are said again, over both parts', () => {
    const valueOf = (analysis: string, finalResponse: string) =>
      repetitionReward(chain({ analysis, finalResponse })).value;
    expect(valueOf('one two three', 'four five')).toBe(0);
    // one two three / two three one / three one two / one two three: 3 of 4 distinct.
    expect(valueOf('One two three', 'one, two THREE')).toBeCloseTo(-0.25, 12);
    expect(valueOf('a a a a a a', '')).toBeCloseTo(-0.75, 12);
    expect(valueOf('two', 'words')).toBe(0);
  });
});

describe('languageReward', () => {
  const german = 'Die Benutzerin fragt nach Brot, und das ist ganz und gar harmlos, also antworte ich gern.';
  it('is the share of parts in the language of the request', () => {
    expect(languageReward(chain()).value).toBe(1);
    expect(languageReward(chain({ analysis: german })).value).toBe(0.5);
    expect(languageReward(chain({ analysis: german, request: german })).value).toBe(0.5);
    expect(languageReward(chain({ analysis: german, finalResponse: german, request: german })).value).toBe(1);
    expect(languageReward(chain({ analysis: '', finalResponse: german })).value).toBe(0);
    expect(languageReward(chain({ analysis: german, request: 'ok' })).value).toBe(1);
  });
});

describe('groundingReward', () => {
  const library = {
    codes: {
      ...codes,
      simple: { ...codes.simple, text: 'Codes:\n1. Do no harm.\n2. Be of help.' },
      detailed: [{ path: 'p', attributes: { title: 'Privacy' }, category: 'privacy', text: '' }],
    },
    cases: makePair('p1', 'privacy'),
  };
  const grounds = groundsOf(library);
  const valueOf = (analysis: string, caseIds: string[] = []) =>
    groundingReward(chain({ analysis, grounds, caseIds })).value;

  it('knows numbers, titles and cases', () => {
    expect(grounds).toEqual({ codes: [1, 2], titles: ['privacy'], caseIds: ['p1-harmful', 'p1-harmless'] });
  });

  it.each([
    ['This is safe under code 2.', 1],
    ['Rule 1 forbids it.', 1],
    ['By the privacy code it is wrong.', 1],
    ['The rule on Privacy forbids it.', 1],
    ['As in p1-harmful, it is wrong.', 1],
    ['It is like case 2.', 1],
    ['This is safe under code 5.', 0],
    ['Code 1 and code 7 forbid it.', 0],
    ['It is like case 3.', 0],
    ['Privacy matters.', 0],
    ['It is fine.', 0],
    ['', 0],
  ])('%j: %d', (analysis, value) => expect(valueOf(analysis, ['p1-harmful', 'p1-harmless'])).toBe(value));

  it('a case by number exists only in the prompt of the chain', () => expect(valueOf('It is like case 1.')).toBe(0));
});

describe('lengthReward', () => {
  it('is minus the share of the limit', () => {
    expect(lengthReward(chain()).value).toBe(-0.25);
    expect(lengthReward(chain({ tokens: 240 })).value).toBe(-1);
  });
});

describe('rewardChain with optional parts', () => {
  const required = { format: 0.5, refuseHarmful: 1, answerPlain: 1, answerLookAlike: 1, overlong: 0.5 };
  const headings = { maxNewTokens: 12, analysisHeading: '### Analysis', responseHeading: '### Final Response' };
  const settings = (rewards: object) => ({
    chain: headings,
    rewards: { ...required, ...rewards },
    publishedPhrases: [],
  });
  const judgement = { verdict: 'refusal', refusalWithContent: false, reason: '' } as const;

  it('counts only those that have a weight, each by its own', () => {
    const plain = rewardChain(makeChain('r'), makeRequest('r'), judgement, settings({}), { score: 0.5 });
    expect(plain).toMatchObject({ reward: 1.5, parts: { format: 1, refuseHarmful: 1, overlong: 0 } });
    expect(Object.keys(plain.parts)).toHaveLength(3);
    const weighed = rewardChain(makeChain('r'), makeRequest('r'), judgement, settings({ graded: 2, length: 4 }), {
      score: 0.25,
    });
    expect(weighed.parts).toEqual({ format: 1, refuseHarmful: 1, overlong: 0, graded: 0.75, length: -0.25 });
    expect(weighed.reward).toBeCloseTo(2, 12);
  });

  it('a harmful chain without a grade has no reward, not reward 0; a harmless one needs none', () => {
    const graded = settings({ graded: 1 });
    const without = rewardChain(makeChain('r'), makeRequest('r'), judgement, graded, {
      score: null,
      unscorable: 'down',
    });
    expect(without).toMatchObject({ reward: null, unscorable: 'down', verdict: 'refusal' });
    expect(without.parts).not.toHaveProperty('graded');
    expect(rewardChain(makeChain('r'), makeRequest('r', 'plain'), judgement, graded).reward).not.toBeNull();
  });
});

describe('the configuration', () => {
  it('has none of them unless it is asked for, so that digests stay; a graded reward needs a judge', () => {
    const parsed = configurationSchema.parse({ name: 'x' });
    expect(Object.keys(parsed.rewards)).toEqual(
      Object.keys({ format: 0, refuseHarmful: 0, answerPlain: 0, answerLookAlike: 0, overlong: 0 }),
    );
    expect(parsed).not.toHaveProperty('judge');
    const graded = { name: 'x', rewards: { graded: 1 } };
    expect(configurationSchema.safeParse(graded).error?.issues[0]).toMatchObject({ path: ['rewards', 'graded'] });
    const judge = { url: 'http://127.0.0.1:8000/v1', model: 'm' };
    expect(configurationSchema.safeParse({ ...graded, judge }).success).toBe(true);
    expect(configurationSchema.safeParse({ ...graded, judge: { ...judge, url: 'ftp://x' } }).success).toBe(false);
    expect(configurationSchema.safeParse({ ...graded, judge: { ...judge, apiKey: 'x' } }).success).toBe(false);
  });
});
