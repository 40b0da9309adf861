/**
 * Text <-> token ids of a model on disk, and chats in its template. The work is done by @huggingface/tokenizers and @huggingface/jinja; this
 * module decides what counts as a special token. Left out: offsets, pairs of texts, truncation, post-processors (nothing is added to a text).
 */
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { EngineError } from '../policy.ts';
import { withinTime } from '../withinTime.ts';
import { createChatRenderer } from './chatTemplate.ts';
import type { ChatMessage } from './chatTemplate.ts';
import { mendDecoder, mendPreTokenizer, setFirstSection } from './rustBehaviour.ts';
import { readTokenizerSource } from './tokenizerSource.ts';
import type { PreTokenizer, TokenDecoder } from './rustBehaviour.ts';
import type { AddedToken, TokenizerSource } from './tokenizerSource.ts';

export type { ChatMessage } from './chatTemplate.ts';

export interface EncodedChat {
  tokens: number[];
  /**
   * messageEnds[i]: how many leading tokens depend on messages 0 to i only (what follows can't change them), so a shared prefix may end there.
   */
  messageEnds: number[];
}

export interface Tokenizer {
  /** No token is added. `allowSpecial`: text that spells a special token becomes it; otherwise it is encoded as the plain characters. */
  encode(text: string, options: { allowSpecial: boolean }): number[];
  /** Ill-formed UTF-8 becomes U+FFFD. Throws EngineError for an id outside of the vocabulary. */
  decode(tokens: readonly number[], options: { skipSpecial: boolean }): string;
  /**
   * The chat in the model's template. `forgeSafe` (default true): message contents are plain text, so that `<|im_end|>` in a request can't end
   * its turn; false: as Transformers does it, where it can.
   */
  encodeChat(
    messages: readonly ChatMessage[],
    options?: { addGenerationPrompt?: boolean; forgeSafe?: boolean },
  ): EncodedChat;
  /** Ids that end an answer. */
  eosTokens: number[];
  bosToken: number | undefined;
  padToken: number | undefined;
  /** Highest id + 1. A model may have a few rows more. */
  vocabularySize: number;
}

/**
 * The tokenizer of a Hugging Face folder (tokenizer.json, tokenizer_config.json, chat_template.jinja) or of a GGUF file.
 * @param template another chat template than the model's, further variables for it, tags that it may not cut out
 * @throws EngineError 'invalidInput' if files are missing, malformed or of a kind that is not supported.
 */
export async function loadTokenizer(
  modelPath: string,
  template: Pick<Partial<TokenizerSource>, 'chatTemplate' | 'templateVariables' | 'keptTags'> = {},
): Promise<Tokenizer> {
  const source = { ...(await readTokenizerSource(modelPath)), ...template };
  try {
    return createTokenizer(source);
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError(
      'invalidInput',
      `${source.path}: the tokenizer can't be built (${(cause as Error).message.slice(0, 300)}). Download the model again.`,
      {
        cause,
      },
    );
  }
}

/** Of processor time; a long chat takes a few milliseconds. */
const mostMilliseconds = 1000;

export function createTokenizer(source: TokenizerSource): Tokenizer {
  const added = ownAddedTokens(source);
  const special = added.filter((token) => token.special);
  const ordinary = added.filter((token) => !token.special);
  const addedIds = new Map(added.map(({ content, id }) => [content, id]));
  const plain = createPlainTokenizer(source, added);
  const texts = new Map([...plain.get_vocab()].map(([text, id]) => [id, text]));
  for (const { content, id } of added) texts.set(id, content);
  const specialIds = new Set(special.map(({ id }) => id));
  const vocabularySize = [...texts.keys()].reduce((most, id) => Math.max(most, id), -1) + 1;

  const encodeSection = cached((text: string, first: boolean) => {
    setFirstSection(plain.pre_tokenizer, first);
    return text === '' ? [] : plain.encode(text, { add_special_tokens: false }).ids.filter((id) => id !== undefined);
  });

  /** Text in which these added tokens count, except that `mask` is taken out of it after they are found. */
  function encodeWith(known: readonly AddedToken[], text: string, mask = ''): number[] {
    const tokens: number[] = [];
    for (const [index, section] of splitAtTokens(text, known).entries()) {
      // Odd sections are the tokens that were found.
      if (index % 2 === 1) tokens.push(addedIds.get(section)!);
      else
        for (const token of encodeSection(mask ? section.replaceAll(mask, '') : section, index === 0))
          tokens.push(token);
    }
    return tokens;
  }

  function decode(tokens: readonly number[], { skipSpecial }: { skipSpecial: boolean }): string {
    const pieces: string[] = [];
    for (const token of tokens) {
      const text = texts.get(token);
      if (text === undefined) {
        throw new EngineError(
          'invalidInput',
          `Token id ${token} is not in the vocabulary of ${vocabularySize} tokens of ${source.path}.`,
        );
      }
      if (!skipSpecial || !specialIds.has(token)) pieces.push(text);
    }
    return plain.decoder ? plain.decoder.decode(pieces) : pieces.join(' ');
  }

  const renderChat = keepingTags(createChatRenderer(source), source.keptTags ?? []);
  // Some models frame turns with added tokens that are not marked special.
  const turnMarkers = added.filter(({ content }) => source.chatTemplate?.includes(content));
  function encodeChat(
    messages: readonly ChatMessage[],
    { addGenerationPrompt = true, forgeSafe = true }: { addGenerationPrompt?: boolean; forgeSafe?: boolean } = {},
  ): EncodedChat {
    const { masked, mask } = forgeSafe ? maskTokens(messages, special, turnMarkers) : { masked: messages, mask: '' };
    const tokens = encodeWith(added, renderChat(masked, addGenerationPrompt), mask);
    const messageEnds: number[] = [];
    for (let count = 1; count <= masked.length; count++) {
      let shared = messageEnds.at(-1) ?? 0;
      const prefix = renderPrefix(() => renderChat(masked.slice(0, count), false));
      if (prefix !== undefined) {
        const prefixTokens = encodeWith(added, prefix, mask);
        let same = 0;
        while (same < prefixTokens.length && prefixTokens[same] === tokens[same]) same++;
        shared = Math.max(shared, same);
      }
      messageEnds.push(shared);
    }
    return { tokens, messageEnds };
  }

  const bounded = <T>(work: () => T): T =>
    withinTime(
      mostMilliseconds,
      work,
      () =>
        new EngineError(
          'invalidInput',
          `${source.path}: the tokenizer takes more than ${mostMilliseconds / 1000} s for one text: a pattern in its tokenizer.json never ends. Use another copy of the model.`,
        ),
    );
  return {
    encode: (text, { allowSpecial }) => bounded(() => encodeWith(allowSpecial ? added : ordinary, text)),
    decode,
    encodeChat: (messages, options) => bounded(() => encodeChat(messages, options)),
    eosTokens: source.eosTokens,
    bosToken: source.bosToken,
    padToken: source.padToken,
    vocabularySize,
  };
}

/**
 * The added tokens that are found in a text before anything else. This module looks for them itself, so that it can also leave them; those to be
 * found in normalised text stay with the library.
 */
function ownAddedTokens({ json, keptTags = [] }: TokenizerSource): AddedToken[] {
  return json.added_tokens
    .filter((token) => token.special || token.normalized === false || !json.normalizer)
    .map((token) => (keptTags.includes(token.content) ? { ...token, special: false } : token));
}

/** What is used of the library's tokenizer, whose own declarations do not resolve for ES modules. */
interface PlainTokenizer {
  pre_tokenizer: PreTokenizer | null;
  decoder: (TokenDecoder & { added_tokens: { content: string }[]; decode(tokens: string[]): string }) | null;
  encode(text: string, options: { add_special_tokens: boolean }): { ids: (number | undefined)[] };
  get_vocab(): Map<string, number>;
}

/** The library's tokenizer without the added tokens `own`. */
function createPlainTokenizer({ json }: TokenizerSource, own: readonly AddedToken[]): PlainTokenizer {
  const ownTexts = new Set(own.map(({ content }) => content));
  // A SentencePiece conversion can have merges that lead from plain characters to a special token.
  const merges = json.model.merges?.filter(
    (merge) => !ownTexts.has(Array.isArray(merge) ? merge.join('') : merge.replace(' ', '')),
  );
  const plain = new HuggingFaceTokenizer(
    {
      ...json,
      model: { ...json.model, ...(merges ? { merges } : {}) },
      added_tokens: json.added_tokens.filter(({ content }) => !ownTexts.has(content)),
    },
    {},
  ) as PlainTokenizer;
  mendPreTokenizer(plain.pre_tokenizer);
  mendDecoder(plain.decoder);
  // The byte-level decoder takes these as they are, not as bytes.
  if (plain.decoder) plain.decoder.added_tokens = json.added_tokens;
  return plain;
}

/** The text cut at these tokens (longest first where several fit), which are the odd elements of the result. */
function splitAtTokens(text: string, tokens: readonly AddedToken[]): string[] {
  if (tokens.length === 0) return [text];
  const sections = text.split(tokenPattern(tokens));
  for (const { content, lstrip, rstrip } of tokens) {
    if (!lstrip && !rstrip) continue;
    for (let i = 1; i < sections.length; i += 2) {
      if (sections[i] !== content) continue;
      if (lstrip) sections[i - 1] = sections[i - 1]!.trimEnd();
      if (rstrip) sections[i + 1] = sections[i + 1]!.trimStart();
    }
  }
  return sections;
}

const patterns = new Map<string, RegExp>();
function tokenPattern(tokens: readonly AddedToken[]): RegExp {
  const contents = tokens.map(({ content }) => content);
  const key = contents.join('\0');
  let pattern = patterns.get(key);
  if (!pattern) {
    const longestFirst = contents.toSorted((a, b) => b.length - a.length);
    pattern = new RegExp(
      `(${longestFirst.map((content) => content.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|')})`,
      'u',
    );
    patterns.set(key, pattern);
  }
  return pattern;
}

/**
 * The messages with a character that occurs in none of them put inside everything that spells a token of the frame; taken out again after the
 * template's own tokens are found. In the model's own turns only special tokens are broken, so that templates still find its `</think>`.
 */
function maskTokens(
  messages: readonly ChatMessage[],
  special: readonly AddedToken[],
  turnMarkers: readonly AddedToken[],
): { masked: ChatMessage[]; mask: string } {
  let code = 0xe000; // private use
  while (messages.some(({ content }) => content.includes(String.fromCharCode(code)))) code++;
  const mask = String.fromCharCode(code);
  const breakTokens = (content: string, tokens: readonly AddedToken[]) => {
    const breakable = tokens.filter((token) => token.content.length > 1);
    if (breakable.length === 0) return content;
    let text = content;
    const pattern = tokenPattern(breakable);
    for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
      text = text.slice(0, match.index + 1) + mask + text.slice(match.index + 1);
    }
    return text;
  };
  const all = [...new Set([...special, ...turnMarkers])];
  const masked = messages.map(({ role, content }) => ({
    role,
    content: breakTokens(content, role === 'assistant' ? special : all),
  }));
  return { masked, mask };
}

type RenderChat = ReturnType<typeof createChatRenderer>;

/**
 * Where a template cuts out what stands between the tags, it is shown a character that occurs nowhere else in place of each tag in the model's own turns.
 * Only there: one that keeps it may put a pair of tags around a turn that shows none.
 */
function keepingTags(render: RenderChat, tags: readonly string[]): RenderChat {
  if (tags.length === 0) return render;
  const anyTag = new RegExp(tags.map((tag) => tag.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|'), 'u');
  const isKept = (content: string, text: string) =>
    content.split(anyTag).every((part) => part.trim() === '' || text.includes(part.trim()));
  return (messages, addGenerationPrompt) => {
    const own = messages.filter(({ role, content }) => role === 'assistant' && anyTag.test(content));
    const plain = render(messages, addGenerationPrompt);
    if (own.every(({ content }) => isKept(content, plain))) return plain;
    let code = 0xf0000; // private use; masks are taken from another area
    while (
      messages.some(({ content }) => tags.some((_tag, index) => content.includes(String.fromCodePoint(code + index))))
    )
      code += tags.length;
    const stands = tags.map((tag, index) => [tag, String.fromCodePoint(code + index)] as const);
    const hidden = messages.map(({ role, content }) => ({
      role,
      content: role === 'assistant' ? stands.reduce((text, [tag, one]) => text.replaceAll(tag, one), content) : content,
    }));
    return stands.reduce((text, [tag, one]) => text.replaceAll(one, tag), render(hidden, addGenerationPrompt));
  };
}

/** Undefined where the template refuses a chat that stops here (some demand that roles alternate). */
function renderPrefix(render: () => string): string | undefined {
  try {
    return render();
  } catch {
    return undefined;
  }
}

/** Template parts and cases recur in every prompt: remember the last few thousand sections. */
function cached(
  encode: (text: string, first: boolean) => number[],
): (text: string, first: boolean) => readonly number[] {
  const memory = new Map<string, number[]>();
  return (text, first) => {
    const key = `${first ? '1' : '0'}${text}`;
    let tokens = memory.get(key);
    if (!tokens) {
      if (memory.size >= 4096) memory.clear();
      tokens = encode(text, first);
      memory.set(key, tokens);
    }
    return tokens;
  };
}
