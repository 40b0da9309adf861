/** What a guard model that tells hazards is shown, and what is made of its scores; its engine is a stand-in that remembers the prompts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askHazards, openHazardPrompts } from '../../activities/askHazards.ts';
import {
  guardClassifierSchema,
  hazardAsking,
  hazardMessages,
  likeliestCategory,
} from '../../alignment/library/beaverTails/guardClassifier.ts';
import type { PolicyEngine, SampleRequest } from '../../engine/policy.ts';
import { loadTokenizer, type Tokenizer } from '../../engine/tokenizer/tokenizer.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';

const hazards = [
  { hazard: 'hats', definition: 'Hats that are too large.' },
  { hazard: 'wet-socks', definition: 'Socks in the rain.' },
];

let folder: string;
let tokenizer: Tokenizer;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ask-hazards-'));
  await writeTinyChainModel(folder);
  tokenizer = await loadTokenizer(folder);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('likeliestCategory', () => {
  const names = ['hats', 'socks', 'safe'];

  it('is that of the highest log-probability, less what its code has without a request', () => {
    expect(likeliestCategory([-1, -2, -3], names)).toBe('hats');
    // -1 + 0.5, -2 + 2.25, -3 + 3
    expect(likeliestCategory([-1, -2, -3], names, [-0.5, -2.25, -3])).toBe('socks');
  });

  it.each([
    [[-1, -1, -3], undefined],
    [[-1, -2, -3], [-1, -2, -3.5], 'safe'],
    [
      [-1, -2, -2],
      [-1, -2, -1],
    ],
    [
      [-1, -2, -3],
      [-1, -2, -3],
    ],
    [[NaN, NaN, NaN], undefined],
    [
      [-1, -2, -3],
      [NaN, NaN, NaN],
    ],
  ] as [number[], number[] | undefined, string?][])('of %j and %j is %s: equal scores say nothing', (...asked) => {
    expect(likeliestCategory(asked[0], names, asked[1])).toBe(asked[2]);
  });
});

it('shows each category under its code, the hazards first, and the request once', () => {
  const [message, ...more] = hazardMessages('Sell {categories} <END CONVERSATION>', hazardAsking({}, hazards));
  expect(more).toEqual([]);
  expect(message!.content).toContain(
    [
      '<BEGIN CATEGORIES>',
      'A: hats: Hats that are too large.',
      'B: wet socks: Socks in the rain.',
      'C: other: harmful in another way',
      'D: safe: not harmful',
      '<END CATEGORIES>',
    ].join('\n'),
  );
  // A mark of the request's own is not filled in.
  expect(message!.content).toContain('User: Sell {categories} <END CONVERSATION>\n');
  const numbered = hazardAsking({ codes: 'numbers', instruction: '{request}|{categories}' }, hazards);
  expect(hazardMessages('R', numbered)[0]!.content).toMatch(/^R\|S1: hats: [^]*\nS4: safe: not harmful$/);
});

it('reads the log-probabilities of the codes where the answer would begin', async () => {
  let asked: SampleRequest | undefined;
  const engine = {
    describe: () => Promise.resolve({ contextLength: 2000 }),
    sample: (request: SampleRequest) => {
      asked = request;
      return Promise.resolve(
        request.prompts.map(({ id }, index) => ({
          promptId: id,
          firstLogProbs: [-4, -3, index > 1 ? NaN : -2, -1 - index],
        })),
      );
    },
  } as unknown as PolicyEngine;
  const asking = hazardAsking({ codes: 'numbers', answerStart: 'unsafe\n' }, hazards);
  const prompts = await openHazardPrompts(folder, asking);
  const answers = await askHazards(engine, { modelPath: folder, modelDigest: 'tiny' }, prompts, [
    'Where?',
    'Who?',
    'x'.repeat(2000),
    'Where?',
    'No number?',
  ]);
  expect(answers).toEqual([[-4, -3, -2, -1], [-4, -3, -2, -2], null, [-4, -3, -2, -1], null]);
  const digits = ['1', '2', '3', '4'].map((digit) => tokenizer.encode(digit, { allowSpecial: false })[0]);
  expect(asked!.options).toMatchObject({ temperature: 0, maxNewTokens: 1, firstTokens: digits });
  expect(asked!.prompts).toHaveLength(3);
  const { tokens, prefixLength } = asked!.prompts[0]!;
  const shown = (part: number[]) => tokenizer.decode(part, { skipSpecial: false });
  // What all codes begin with is said before them.
  expect(shown(tokens)).toMatch(/User: Where\?\n[^]*<\|im_start\|>assistant\nunsafe\nS$/);
  expect(shown(tokens.slice(0, prefixLength))).toMatch(/User: $/);
});

it('codes that begin with the same token are told, and so is a template that refuses', async () => {
  const many = Array.from({ length: 10 }, (_, index) => ({ hazard: `hazard-${index}`, definition: 'x' }));
  await expect(openHazardPrompts(folder, hazardAsking({ codes: 'numbers' }, many))).rejects.toThrow(
    /The codes S1 and S10 begin with the same token/,
  );
  expect((await openHazardPrompts(folder, hazardAsking({}, many))).codes).toHaveLength(12);
  const template = "{{ raise_exception('no such roles') }}";
  await expect(openHazardPrompts(folder, hazardAsking({ template }, hazards))).rejects.toThrow(/no such roles/);
});

it.each([
  [{ instruction: 'Sort {request}' }, /has to have \{categories\} and \{request\}/],
  [{ codes: 'words' }, /./],
  [{ words: { safe: 'a', unsafe: 'b' } }, /words/],
])('settings %j are refused', (settings, message) => {
  expect(guardClassifierSchema.safeParse({ source: 'a/b', ...settings }).error?.issues[0]?.message).toMatch(message);
});
