/** Reads what makes up a tokenizer, from a Hugging Face folder or a GGUF file, into one form. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../policy.ts';
import { readGgufTokenizer } from './ggufTokenizer.ts';

export interface AddedToken {
  id: number;
  content: string;
  special: boolean;
  lstrip?: boolean;
  rstrip?: boolean;
  single_word?: boolean;
  normalized?: boolean;
}

/** tokenizer.json as far as this engine looks into it. */
export interface TokenizerJson {
  added_tokens: AddedToken[];
  normalizer: unknown;
  pre_tokenizer: unknown;
  post_processor: unknown;
  decoder: unknown;
  model: { type?: string; vocab: Record<string, number>; merges?: (string | string[])[]; [key: string]: unknown };
  [key: string]: unknown;
}

export interface TokenizerSource {
  /** File or folder, for messages. */
  path: string;
  json: TokenizerJson;
  /** tokenizer_config.json without its chat template. */
  config: Record<string, unknown>;
  chatTemplate: string | undefined;
  /** Further variables of the template; absent = none. */
  templateVariables?: Record<string, unknown>;
  /**
   * Texts such as `<think>` that the model's own turns keep: the template is kept from cutting them out of earlier turns, as that of Qwen3 does, and they are
   * no special tokens, so that they are part of what is decoded. Absent = none.
   */
  keptTags?: readonly string[];
  /** bos_token, eos_token, pad_token, unk_token as text, those that exist. */
  specialTokenTexts: Record<string, string>;
  bosToken: number | undefined;
  padToken: number | undefined;
  eosTokens: number[];
}

export async function readTokenizerSource(modelPath: string): Promise<TokenizerSource> {
  const stats = await stat(modelPath).catch(() => undefined);
  if (!stats)
    throw new EngineError(
      'invalidInput',
      `${modelPath}: there is no such file or folder. Give a Hugging Face folder or a .gguf file.`,
    );
  return stats.isDirectory() ? readFolder(modelPath) : readGgufTokenizer(modelPath);
}

async function readFolder(folder: string): Promise<TokenizerSource> {
  const path = join(folder, 'tokenizer.json');
  const json = (await readJson(path)) as TokenizerJson | undefined;
  if (!json) {
    throw new EngineError(
      'invalidInput',
      `${folder}: has no tokenizer.json. Save the tokenizer with a current Transformers (save_pretrained), which writes it.`,
    );
  }
  json.added_tokens ??= [];
  checkTokenizer(path, json);
  const config = (await readJson(join(folder, 'tokenizer_config.json'))) ?? {};
  const generation = (await readJson(join(folder, 'generation_config.json'))) ?? {};
  const modelConfig = (await readJson(join(folder, 'config.json'))) ?? {};
  const { chat_template: template, ...rest } = config;
  const templateFile = await readFile(join(folder, 'chat_template.jinja'), 'utf8').catch(() => undefined);
  const texts = specialTokenTexts(config);
  const idOf = (text: string | undefined) =>
    text === undefined
      ? undefined
      : (json.added_tokens.find(({ content }) => content === text)?.id ?? json.model.vocab[text]);
  const eosTokens = [idOf(texts['eos_token']), generation['eos_token_id'], modelConfig['eos_token_id']]
    .flat()
    .filter(isTokenId);
  return {
    path: folder,
    json,
    config: rest,
    chatTemplate: templateFile ?? defaultTemplate(template),
    specialTokenTexts: texts,
    bosToken: idOf(texts['bos_token']),
    padToken: idOf(texts['pad_token']),
    eosTokens: [...new Set(eosTokens)],
  };
}

/** Special tokens are a text or an object with the text in `content`. */
export function specialTokenTexts(config: Record<string, unknown>): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const name of ['bos_token', 'eos_token', 'pad_token', 'unk_token']) {
    const value = config[name];
    const text = typeof value === 'object' && value !== null ? (value as { content?: unknown }).content : value;
    if (typeof text === 'string') texts[name] = text;
  }
  return texts;
}

/** The template, or of a list of named templates the one called "default". */
function defaultTemplate(template: unknown): string | undefined {
  if (typeof template === 'string') return template;
  if (!Array.isArray(template)) return undefined;
  const named = template.find(
    (item): item is { template: unknown } => (item as { name?: unknown } | null)?.name === 'default',
  );
  return typeof named?.template === 'string' ? named.template : undefined;
}

/** Far above any real vocabulary; ids index tables. */
const largestId = 2 ** 26;
const modelTypes = ['BPE', 'WordPiece', 'Unigram'];

/**
 * Checks what this engine and the library take for granted of a tokenizer.json: unchecked, a text where a number should be surfaces as an error in the
 * middle of a run, or as wrong tokens.
 */
function checkTokenizer(path: string, { model, added_tokens: added }: TokenizerJson): void {
  const wrong = (what: string) => new EngineError('invalidInput', `${path}: ${what}. Download it again.`);
  const shown = (value: unknown) => JSON.stringify(value)?.slice(0, 80) ?? 'nothing';
  if (typeof model !== 'object' || model === null || typeof model.vocab !== 'object' || model.vocab === null)
    throw wrong('has no model with a vocabulary');
  if (model.type !== undefined && !modelTypes.includes(model.type))
    throw wrong(`the model is of type ${shown(model.type)}; ${modelTypes.join(', ')} are supported`);
  // Unigram models list [token, score] pairs; the library reads them.
  if (!Array.isArray(model.vocab)) {
    for (const [token, id] of Object.entries(model.vocab)) {
      if (!isTokenId(id) || id > largestId) throw wrong(`the vocabulary gives ${shown(token)} the id ${shown(id)}`);
    }
  }
  if (model.merges !== undefined) {
    if (!Array.isArray(model.merges)) throw wrong(`"merges" is ${shown(model.merges)}, not a list`);
    for (const merge of model.merges as unknown[]) {
      const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
      if (!Array.isArray(pair) || pair.length !== 2 || pair.some((part) => typeof part !== 'string' || part === ''))
        throw wrong(`"merges" holds ${shown(merge)}, which is not a pair`);
    }
  }
  if (!Array.isArray(added)) throw wrong(`"added_tokens" is ${shown(added)}, not a list`);
  for (const token of added as unknown[]) {
    const { id, content } = (token ?? {}) as Partial<AddedToken>;
    if (!isTokenId(id) || id > largestId || typeof content !== 'string' || content === '')
      throw wrong(`"added_tokens" holds ${shown(token)}, which has no id and content`);
  }
}

/** Tokenizers of half a million tokens have 60 MB. */
const longestJsonBytes = 256 * 2 ** 20;

async function readJson(path: string): Promise<Record<string, unknown> | undefined> {
  const { size } = await stat(path).catch(() => ({ size: 0 }));
  if (size > longestJsonBytes)
    throw new EngineError('invalidInput', `${path}: has ${size} bytes, more than any such file. Download it again.`);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new EngineError('invalidInput', `${path}: can't be read (${error.message}). Check the file.`, {
      cause: error,
    });
  });
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (cause) {
    throw new EngineError('invalidInput', `${path}: is not JSON (${(cause as Error).message}). Download it again.`, {
      cause,
    });
  }
  throw new EngineError('invalidInput', `${path}: is not a JSON object. Download it again.`);
}

const isTokenId = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
