/** The reasoning turn of a Qwen3-style chat template, in the prompts that chains are sampled from and trained on. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadChatTokenizer, type ChatTokenizer } from '../../activities/chatTokenizer.ts';
import { formatChain, type ChainFormat } from '../../alignment/chains/chain.ts';
import { reasoningTemplate } from '../models/reasoningTemplate.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';

const think: ChainFormat = { analysisHeading: '-', responseHeading: '-', format: 'think' };

let folder: string;
let plainFolder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-reasoning-'));
  await writeTinyChainModel(folder, { reasoning: true });
  plainFolder = join(folder, 'plain');
  await writeTinyChainModel(plainFolder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const rendered = (tokenizer: ChatTokenizer, messages: { role: string; content: string }[]) =>
  tokenizer.decode(tokenizer.encodeChat(messages, { addGenerationPrompt: true }).tokens, { skipSpecial: false });
const question = { role: 'user', content: 'Why?' };
const asked = '<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n';

/** The same model with another template, or tokens that are special. */
async function changed(name: string, changes: { template?: string; special?: boolean }): Promise<string> {
  const path = join(folder, name);
  await writeTinyChainModel(path, { reasoning: true });
  if (changes.template !== undefined) await writeFile(join(path, 'chat_template.jinja'), changes.template);
  if (changes.special) {
    const json = JSON.parse(await readFile(join(path, 'tokenizer.json'), 'utf8')) as {
      added_tokens: { content: string; special: boolean }[];
    };
    for (const token of json.added_tokens) if (/think/.test(token.content)) token.special = true;
    await writeFile(join(path, 'tokenizer.json'), JSON.stringify(json));
  }
  return path;
}

describe('loadChatTokenizer', () => {
  it('hands thinking on to the template: off closes an empty block in the prompt', async () => {
    expect(rendered(await loadChatTokenizer(folder), [question])).toBe(asked);
    expect(rendered(await loadChatTokenizer(folder, {}), [question])).toBe(asked);
    expect(rendered(await loadChatTokenizer(folder, { thinking: true }), [question])).toBe(asked);
    const off = await loadChatTokenizer(folder, { thinking: false });
    expect(rendered(off, [question])).toBe(`${asked}<think>\n\n</think>\n\n`);
    expect(off.opened).toBe('');
  });

  it('keeps the analyses of cases in earlier turns, which the template would cut out', async () => {
    const dialogue = [
      { role: 'system', content: 'Codes.' },
      { role: 'user', content: 'A' },
      { role: 'assistant', content: formatChain('It asks.', 'Mix.', think) },
      { role: 'user', content: 'B' },
      { role: 'assistant', content: formatChain('It asks for harm.', 'No.', think) },
      question,
    ];
    const cut = rendered(await loadChatTokenizer(folder), dialogue);
    expect(cut).toContain('<|im_start|>assistant\nMix.<|im_end|>');
    const tokenizer = await loadChatTokenizer(folder, { thinking: true });
    const kept = rendered(tokenizer, dialogue);
    expect(kept).toContain('<|im_start|>assistant\n<think>\nIt asks.\n</think>\n\nMix.<|im_end|>');
    expect(kept).toContain('<|im_start|>assistant\n<think>\nIt asks for harm.\n</think>\n\nNo.<|im_end|>');
    // The tags are the model's own tokens, as in what it samples.
    const { tokens, messageEnds } = tokenizer.encodeChat(dialogue, { addGenerationPrompt: true });
    const [open] = tokenizer.encode('<think>', { allowSpecial: false });
    expect(tokens.filter((token) => token === open)).toHaveLength(2);
    // What requests share reaches into the last of the cases, and ends before the question.
    const other = tokenizer.encodeChat([...dialogue.slice(0, 5), { role: 'user', content: 'Else?' }]).tokens;
    expect(tokens.slice(0, messageEnds[4])).toEqual(other.slice(0, messageEnds[4]));
    expect(messageEnds[4]).toBeGreaterThan(messageEnds[3]!);
  });

  it('leaves a template alone that keeps analyses by itself', async () => {
    const path = await changed('keeping', { template: reasoningTemplate.replace('loop.index0 > ns.last', 'true') });
    const tokenizer = await loadChatTokenizer(path, { thinking: true });
    const dialogue = [question, { role: 'assistant', content: formatChain('It asks.', 'Mix.', think) }, question];
    expect(rendered(tokenizer, dialogue)).toBe(`${asked}<think>\nIt asks.\n</think>\n\nMix.<|im_end|>\n${asked}`);
  });

  it('lets no request open or close a block', async () => {
    const tokenizer = await loadChatTokenizer(folder, { thinking: true });
    const [open, close] = [...tokenizer.encode('<think></think>', { allowSpecial: false })];
    const { tokens } = tokenizer.encodeChat([{ role: 'user', content: '<think>x</think>' }]);
    expect(tokens.filter((token) => token === open || token === close)).toEqual([]);
    expect(tokenizer.opened).toBe('');
  });

  it('knows what the prompt opened for the model', async () => {
    const template =
      "{% for m in messages %}{{ '<|im_start|>' + m.content }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}";
    const path = await changed('opened', { template });
    expect((await loadChatTokenizer(path, {})).opened).toBe('<think>\n');
    expect((await loadChatTokenizer(path)).opened).toBe('');
  });

  it('wants a template that reasons on demand alone to be told so', async () => {
    const template =
      "{% for m in messages %}{{ '<|im_start|>' + m.content }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' if enable_thinking is defined and enable_thinking else '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' }}{% endif %}";
    const path = await changed('on demand', { template });
    await expect(loadChatTokenizer(path, {})).rejects.toThrow(/Set chain.thinking to true/);
    expect((await loadChatTokenizer(path, { thinking: true })).opened).toBe('<think>\n');
    expect((await loadChatTokenizer(path, { thinking: false })).opened).toBe('');
    const closed = await changed('closed', {
      template: template.replace('enable_thinking is defined and', 'false and'),
    });
    await expect(loadChatTokenizer(closed, { thinking: true })).rejects.toThrow(/Use a model that reasons/);
  });

  it('shows tags that are special tokens, which would be left out of the text of a chain', async () => {
    const path = await changed('special', { special: true });
    const plain = await loadChatTokenizer(path);
    const tokens = plain.encode('<think>a</think>b', { allowSpecial: true });
    expect(plain.decode(tokens, { skipSpecial: true })).toBe('ab');
    const tokenizer = await loadChatTokenizer(path, { thinking: true });
    expect(tokenizer.decode([...tokens, ...tokenizer.eosTokens], { skipSpecial: true })).toBe('<think>a</think>b');
    expect(tokenizer.encode('<think>a</think>b', { allowSpecial: false })).toEqual(tokens);
  });

  it('refuses to switch off thinking where the template has no such switch', async () => {
    await expect(loadChatTokenizer(plainFolder, { thinking: false })).rejects.toThrow(/does not read enable_thinking/);
    expect(rendered(await loadChatTokenizer(plainFolder, { thinking: true }), [question])).toBe(asked);
  });
});
