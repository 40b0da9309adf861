/** Worked examples that questions open with: found in the plan, computed once a shard, and nothing else of the prompt is changed by it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { loadChatTokenizer, type ChatTokenizer } from '../../activities/chatTokenizer.ts';
import type { GenerationItem } from '../../activities/plans.ts';
import { encodePrompts } from '../../activities/samplePrompts.ts';
import { FEWEST, withSharedOpenings } from '../../activities/sharedOpenings.ts';
import type { ChatMessage } from '../../alignment/prompts/guidedPrompt.ts';
import { openSampler } from '../../engine/generate/sampler.ts';
import { sampleSequences } from '../../engine/generate/sampleSequences.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';

const examples = (of: string): string =>
  Array.from(
    { length: 8 },
    (_, shot) => `Question: ${of} ${shot}, and how many are left of all of them?\nAnswer: ${shot}`,
  ).join('\n\n');
const asked = (of: string, question: string): string => `${examples(of)}\n\nQuestion: ${question}\nAnswer:`;

function item(requestId: string, content: string, before: ChatMessage[] = []): GenerationItem {
  const messages: ChatMessage[] = [...before, { role: 'user', content }];
  return {
    ...{ requestId, rawMessages: messages, guidance: 'raw', caseIds: [], messages },
    ...{ sharedMessages: before.length, firstSample: 0, seeds: [''] },
  };
}

const openingsOf = (items: GenerationItem[]) =>
  withSharedOpenings(items).map(({ messages, sharedMessages, opening }) =>
    opening === undefined ? null : messages[sharedMessages]!.content.slice(0, opening),
  );

describe('openings', () => {
  const many = (of: string, count = FEWEST): GenerationItem[] =>
    Array.from({ length: count }, (_, index) => item(`${of} ${index}`, asked(of, `Which is the ${index}th?`)));
  const times = <T>(value: T, count = FEWEST): T[] => Array.from({ length: count }, () => value);

  test('are the worked examples that many neighbours have in common', () => {
    const items = [
      ...many('apples'),
      ...many('pears', FEWEST - 1),
      item('egg', 'How do I boil an egg?'),
      item('owl', 'How do I boil an owl?'),
      ...many('plums', FEWEST + 3),
    ];
    const found = openingsOf(items);
    const [apples, plums] = ['apples', 'plums'].map((of) => `${examples(of)}\n\n`);
    expect(found).toEqual([...times(apples), ...times(null, FEWEST - 1 + 2), ...times(plums, FEWEST + 3)]);
    // Nothing else is touched.
    expect(withSharedOpenings(items).map(({ opening: _, ...rest }) => rest)).toEqual(items);
    expect(withSharedOpenings([])).toEqual([]);
  });

  test('behind codes and cases only where those are the same', () => {
    const behind = (textOf: (index: number) => string): GenerationItem[] =>
      many('apples').map(({ requestId, messages }, index) =>
        item(requestId, messages[0]!.content, [{ role: 'system', content: textOf(index) }]),
      );
    expect(openingsOf(behind(() => 'Codes.'))).toEqual(times(`${examples('apples')}\n\n`));
    expect(openingsOf(behind((index) => `Codes ${index}.`))).toEqual(times(null));
  });
});

describe('prompts', () => {
  let folder: string;
  let tokenizer: ChatTokenizer;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cada-openings-'));
    await writeTinyChainModel(folder);
    tokenizer = await loadChatTokenizer(folder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const items = Array.from({ length: FEWEST }, (_, index) =>
    item(`q${index}`, asked('apples', index % 2 === 0 ? `Which ${index}?` : `${index}, or what?`)),
  );

  test('have the opening as their prefix, the same for all, whatever else is in the shard', () => {
    const marked = withSharedOpenings(items);
    const prompts = encodePrompts(tokenizer, marked);
    const plain = encodePrompts(tokenizer, items);
    expect(prompts.map(({ tokens }) => tokens)).toEqual(plain.map(({ tokens }) => tokens));
    const prefixes = prompts.map(({ tokens, prefixLength }) => tokens.slice(0, prefixLength));
    for (const prefix of prefixes) expect(prefix).toEqual(prefixes[0]);
    const text = tokenizer.decode(prefixes[0]!, { skipSpecial: false });
    expect(text).toContain(examples('apples'));
    expect(text).not.toContain('Which');
    expect(plain[0]!.prefixLength).toBeLessThan(10);
    expect(encodePrompts(tokenizer, [marked[2]!])).toEqual([prompts[2]]);
  });

  test('are answered alike with and without', async () => {
    const model = { modelPath: folder, modelDigest: 'tiny' };
    const sampler = await openSampler(await convertedWeights(model, join(folder, 'weights')), undefined, {
      ...{ threads: 1, device: 'cpu' },
    });
    onTestFinished(() => sampler.release());
    const answers = async (shard: GenerationItem[]) => {
      const options = { temperature: 0, maxNewTokens: 24, stopTokens: tokenizer.eosTokens };
      const limits = { decodeBatch: 8, prefillTokens: 2000 };
      const samples = await sampleSequences(sampler, encodePrompts(tokenizer, shard), options, limits);
      return samples.map(({ promptId, tokens }) => ({ promptId, tokens }));
    };
    const alone = await answers(items);
    expect(alone.flatMap(({ tokens }) => tokens).length).toBeGreaterThan(3);
    expect(await answers(withSharedOpenings(items))).toEqual(alone);
  });
});
