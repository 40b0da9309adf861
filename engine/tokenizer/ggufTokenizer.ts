/** The tokenizer in a GGUF file's metadata as the tokenizer.json and tokenizer_config.json that it was converted from. */
import { EngineError } from '../policy.ts';
import { readGguf } from '../formats/gguf.ts';
import type { GgufFile, GgufValue } from '../formats/gguf.ts';
import type { AddedToken, TokenizerSource } from './tokenizerSource.ts';

/** llama.cpp's names of pre-tokenizers -> the steps of the models' own tokenizer.json. Transformers' own conversion drops the digit step of smollm. */
const preTokenizers: Record<string, { steps: unknown; normalizer?: unknown; ignoreMerges?: boolean }> = {
  smollm: {
    steps: sequence({ type: 'Digits', individual_digits: true }, byteLevel(true)),
  },
  'gpt-2': { steps: byteLevel(true) },
  'llama-bpe': { steps: sequence(split('\\p{N}{1,3}'), byteLevel(false)), ignoreMerges: true },
  qwen2: { steps: sequence(split('\\p{N}'), byteLevel(false)), normalizer: { type: 'NFC' } },
};

/** ggml token types. */
const controlToken = 3;
const userDefinedToken = 4;

/**
 * Reads a GGUF file's tokenizer (model "gpt2": byte-level BPE).
 * @throws EngineError 'invalidInput' naming the metadata key that is missing, malformed or not supported.
 */
export async function readGgufTokenizer(path: string): Promise<TokenizerSource> {
  const gguf = await readGguf(path);
  await gguf.close();
  const reject = (what: string) => new EngineError('invalidInput', `${path}: ${what.slice(0, 600)}`);
  const kind = gguf.metadata.get('tokenizer.ggml.model');
  if (kind !== 'gpt2') {
    throw reject(
      `tokenizer ${JSON.stringify(kind)} is not supported in GGUF files; "gpt2" (byte-level BPE) is. Use the model's Hugging Face folder.`,
    );
  }
  const named = gguf.metadata.get('tokenizer.ggml.pre') ?? 'gpt-2';
  const pre = typeof named === 'string' && Object.hasOwn(preTokenizers, named) ? preTokenizers[named] : undefined;
  if (!pre) {
    throw reject(
      `pre-tokenizer ${JSON.stringify(named)} is not supported; ${Object.keys(preTokenizers).join(', ')} are. Use the model's Hugging Face folder.`,
    );
  }
  const tokens = list(gguf, 'tokens', isString, reject);
  const types = gguf.metadata.has('tokenizer.ggml.token_type') ? list(gguf, 'token_type', isNumber, reject) : [];
  const merges = list(gguf, 'merges', isString, reject).map((merge) => checkMerge(merge, reject));
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  if (Object.keys(vocab).length < tokens.length)
    throw reject('"tokenizer.ggml.tokens" holds a token twice. Download it again.');
  const added = tokens.flatMap((content, id) => addedToken(content, id, types[id]));
  const special = specialTokens(gguf, tokens, reject);
  const template = gguf.metadata.get('tokenizer.chat_template');
  const context = gguf.metadata.get(`${String(gguf.metadata.get('general.architecture'))}.context_length`);
  return {
    path,
    json: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: pre.normalizer ?? null,
      pre_tokenizer: pre.steps,
      post_processor: { ...byteLevel(true), trim_offsets: true },
      decoder: { ...byteLevel(true), trim_offsets: true },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: pre.ignoreMerges ?? false,
        vocab,
        merges,
      },
    },
    config: {
      add_prefix_space: false,
      added_tokens_decoder: Object.fromEntries(added.map(({ id, ...token }) => [id, token])),
      ...special.texts,
      clean_up_tokenization_spaces: false,
      ...(typeof context === 'number' ? { model_max_length: context } : {}),
      // The class that takes tokenizer.json as it is; others rebuild the pre-tokenizer.
      tokenizer_class: 'PreTrainedTokenizerFast',
    },
    chatTemplate: typeof template === 'string' ? template : undefined,
    specialTokenTexts: special.texts,
    bosToken: special.ids['bos_token'],
    padToken: special.ids['pad_token'],
    eosTokens: special.eosTokens,
  };
}

type Reject = (what: string) => EngineError;

function specialTokens(gguf: GgufFile, tokens: string[], reject: Reject) {
  const idOf = (key: string) => {
    const id = gguf.metadata.get(`tokenizer.ggml.${key}`);
    if (id === undefined) return undefined;
    if (typeof id !== 'number' || tokens[id] === undefined)
      throw reject(`"tokenizer.ggml.${key}" is ${JSON.stringify(id)}, not an id of the ${tokens.length} tokens.`);
    return id;
  };
  const keys = {
    bos_token: 'bos_token_id',
    eos_token: 'eos_token_id',
    pad_token: 'padding_token_id',
    unk_token: 'unknown_token_id',
  };
  const ids: Record<string, number> = {};
  const texts: Record<string, string> = {};
  for (const [name, key] of Object.entries(keys)) {
    const id = idOf(key);
    if (id === undefined) continue;
    ids[name] = id;
    texts[name] = tokens[id]!;
  }
  return {
    ids,
    texts,
    eosTokens: [...new Set([idOf('eos_token_id'), idOf('eot_token_id')].filter((id) => id !== undefined))],
  };
}

function addedToken(content: string, id: number, type: number | undefined): AddedToken[] {
  if (type !== controlToken && type !== userDefinedToken) return [];
  return [
    {
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: type === controlToken,
    },
  ];
}

function checkMerge(merge: string, reject: Reject): [string, string] {
  const cut = merge.indexOf(' ', 1);
  if (cut < 1 || cut === merge.length - 1)
    throw reject(`"tokenizer.ggml.merges" holds ${JSON.stringify(merge)}, which is not a pair. Download it again.`);
  return [merge.slice(0, cut), merge.slice(cut + 1)];
}

function list<T extends GgufValue>(
  gguf: GgufFile,
  key: string,
  is: (value: GgufValue) => value is T,
  reject: Reject,
): T[] {
  const values = gguf.metadata.get(`tokenizer.ggml.${key}`);
  if (!Array.isArray(values) || !values.every(is))
    throw reject(`metadata "tokenizer.ggml.${key}" is missing or malformed. Download it again.`);
  return values;
}

const isString = (value: GgufValue): value is string => typeof value === 'string';
const isNumber = (value: GgufValue): value is number => typeof value === 'number';

function sequence(...pretokenizers: unknown[]) {
  return { type: 'Sequence', pretokenizers };
}
function byteLevel(useRegex: boolean) {
  return { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: useRegex };
}
/** The pattern of Llama 3 and Qwen 2, which differ in how many digits stay together. */
function split(digits: string) {
  const pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}
