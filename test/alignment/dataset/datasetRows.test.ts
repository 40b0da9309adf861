import { describe, expect, test } from 'vitest';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { isRewarded, preferenceRow, rewardPairs, sftRow, sideOf } from '../../../alignment/dataset/datasetRows.ts';
import { makeChain, makeScored } from '../makeChain.ts';
import { makeRequest } from '../makeLibrary.ts';

const { chain: format } = configurationSchema.parse({ name: 'rows' });
const cake = makeRequest('cake', 'plain', 'cooking', 'How do I bake a cake?');

const sampled = (sampleIndex: number, reward: number | null, changes: Parameters<typeof makeScored>[1] = {}) => ({
  chain: makeChain('cake', { sampleIndex, text: `text ${sampleIndex}` }),
  scored: makeScored('cake', { sampleIndex, kind: 'plain', reward, verdict: 'compliance', ...changes }),
  request: cake,
});

describe('a row of sft', () => {
  test('has the raw request as prompt, the whole chain as completion, and its two parts', () => {
    const one = {
      ...sampled(2, 1.5, { parts: { format: 1, answerPlain: 1, overlong: 0 } }),
      chain: makeChain('cake', { sampleIndex: 2, guidance: 'cases' }),
    };
    expect(sftRow(one, { stage: 'warm start', iteration: 0 }, true, format)).toEqual({
      prompt: [{ role: 'user', content: 'How do I bake a cake?' }],
      completion: [{ role: 'assistant', content: '### Analysis\nIt asks.\n\n### Final Response\nMix flour.' }],
      request_id: 'cake',
      sample: 2,
      request: 'How do I bake a cake?',
      kind: 'plain',
      category: 'cooking',
      analysis: 'It asks.',
      response: 'Mix flour.',
      stage: 'warm start',
      iteration: 0,
      selected: true,
      reward: 1.5,
      reward_parts: { format: 1, answerPlain: 1, overlong: 0 },
      verdict: 'compliance',
      both_parts: true,
      finish: 'stop',
      guidance: 'cases',
    });
  });

  test('has no column of a name by which TRL tells other kinds of dataset', () => {
    const row = sftRow(sampled(0, 1), { stage: 'iteration', iteration: 1 }, true, format);
    for (const reserved of ['chosen', 'rejected', 'messages', 'label']) expect(row).not.toHaveProperty(reserved);
  });

  test('of a chain that nobody could judge has neither reward nor verdict', () => {
    const unscorable = sampled(0, null, { verdict: null });
    expect(sftRow(unscorable, { stage: 'iteration', iteration: 3 }, false, format)).toMatchObject({
      reward: null,
      verdict: null,
      iteration: 3,
    });
  });

  test.each([
    ['a reward above 0 for the right outcome', 1, 'compliance', 'plain', true],
    ['a reward of 0', 0, 'compliance', 'plain', false],
    ['no reward', null, null, 'plain', false],
    ['a harmful answer that is rewarded for its form', 0.5, 'compliance', 'harmful', false],
    ['a refusal of what is harmful', 1.5, 'refusal', 'harmful', true],
    ['a refusal of what is harmless', 0.5, 'refusal', 'look-alike', false],
  ] as const)('is to be imitated or not: %s', (_name, reward, verdict, kind, chosen) => {
    expect(isRewarded({ scored: makeScored('x', { reward, verdict, kind }) })).toBe(chosen);
  });
});

describe('a row of preference', () => {
  test('is the best against the worst chain of a request, the first of equals; equal rewards give none', () => {
    const even = { request: makeRequest('even', 'plain'), chain: makeChain('even') };
    const chains = [
      sampled(0, 0.5),
      sampled(1, 1.5),
      sampled(2, null, { verdict: null }),
      sampled(3, -0.25, { verdict: 'refusal' }),
      sampled(4, 1.5),
      { ...even, scored: makeScored('even', { reward: 1 }) },
      { ...even, scored: makeScored('even', { reward: 1, sampleIndex: 1 }) },
    ];
    expect(rewardPairs(chains, 7)).toEqual([
      {
        prompt: [{ role: 'user', content: 'How do I bake a cake?' }],
        chosen: [{ role: 'assistant', content: 'text 1' }],
        rejected: [{ role: 'assistant', content: 'text 3' }],
        request_id: 'cake',
        request: 'How do I bake a cake?',
        kind: 'plain',
        category: 'cooking',
        iteration: 7,
        source: 'reward',
        chosen_sample: 1,
        rejected_sample: 3,
        chosen_reward: 1.5,
        rejected_reward: -0.25,
        chosen_right: true,
        bad_belief: false,
      },
    ]);
  });

  test('says where even the better chain does what it should not', () => {
    const formed = sampled(0, 0.5, { verdict: 'refusal' });
    const [pair] = rewardPairs([formed, sampled(1, 0, { verdict: 'refusal' })], 1);
    expect(pair).toMatchObject({ chosen_sample: 0, chosen_right: false });
  });

  test('with a chain under a wrong belief has neither sample nor reward for it', () => {
    const rejected = { text: 'wrong', sample: null, reward: null, rightOutcome: false };
    expect(preferenceRow(cake, { chosen: sideOf(sampled(0, 1)), rejected }, 2, 'planned')).toMatchObject({
      rejected: [{ role: 'assistant', content: 'wrong' }],
      rejected_sample: null,
      rejected_reward: null,
      bad_belief: true,
      source: 'planned',
    });
  });
});
