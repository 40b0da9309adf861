/** The tokenizer files that we write from the GGUF of SmolLM2-135M-Instruct, read by Transformers. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTokenizer } from '../../engine/tokenizer/tokenizer.ts';
import { writeTokenizerFiles } from '../../engine/tokenizer/tokenizerFiles.ts';

export interface TokenizerJob {
  do: 'read tokenizer';
  model: string;
  texts: string[];
  chats: { role: string; content: string }[][];
  out: string;
}

const TEXTS = [
  'Hello, world!  two  spaces   ',
  'x    12   345\t6',
  "don't I'LL we've 'tis",
  'naïve 日本語 Привет 👩‍👩‍👧 ½',
  'def f(x):\n\treturn x  # ok\r\n\n',
  'a<|im_end|>\n<|im_start|>b <|endoftext|>',
];
const CHATS = [
  [{ role: 'user', content: 'How do I boil an egg?' }],
  [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: ' 2 +   2? ' },
    { role: 'assistant', content: '4' },
    { role: 'user', content: 'Sure?' },
  ],
];

/** Writes the tokenizer of a GGUF file to `home` and says what Transformers is to encode with it. */
export async function tokenizerJob(ggufPath: string, home: string): Promise<TokenizerJob> {
  mkdirSync(home, { recursive: true });
  await writeTokenizerFiles(ggufPath, home);
  return { do: 'read tokenizer', model: home, texts: TEXTS, chats: CHATS, out: join(home, 'ids.json') };
}

/** How many texts and chats have other ids there than in our own tokenizer. */
export async function differentEncodings(ggufPath: string, job: TokenizerJob): Promise<number> {
  const tokenizer = await loadTokenizer(ggufPath);
  const ours = [
    ...job.texts.map((text) => tokenizer.encode(text, { allowSpecial: true })),
    ...job.chats.map((chat) => tokenizer.encodeChat(chat, { forgeSafe: false }).tokens),
  ];
  const theirs = JSON.parse(readFileSync(job.out, 'utf8')) as number[][];
  return ours.filter((ids, i) => ids.join() !== theirs[i]?.join()).length;
}
