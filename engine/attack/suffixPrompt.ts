import { EngineError } from '../policy.ts';
import type { ChatMessage } from '../tokenizer/chatTemplate.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

/** A chat with a place for a suffix, as tokens. */
export interface SuffixPrompt {
  /** Tokens before and behind the suffix. */
  before: number[];
  behind: number[];
  /** A suffix to start from. */
  initial: number[];
  /** Tokens that a suffix may be made of: printable ASCII, none of the frame's own. In rising order. */
  allowed: number[];
  /** The text of a suffix, as it stands in the chat. */
  textOf(suffix: readonly number[]): string;
  /**
   * Whether the chat with the suffix's text has these very tokens: what was searched for is then what the model reads when it is asked in words. The text
   * must not end in white space, which some templates trim.
   */
  survives(suffix: readonly number[]): boolean;
}

/** Tried in turn: the first that stays itself when it is repeated. */
const starts = [' !', '!', ' x', 'x', ' .', '.', ' a', 'a'];

/**
 * @param messages a chat in which `mark` stands once, where the suffix goes.
 * @throws EngineError('invalidInput') where the mark is not there once, or the tokenizer keeps no repeated token.
 */
export function suffixPrompt(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  mark: string,
  length: number,
): SuffixPrompt {
  const parts = messages.reduce((count, { content }) => count + content.split(mark).length - 1, 0);
  if (mark === '' || parts !== 1)
    throw new EngineError('invalidInput', `the mark of the suffix stands ${parts} times in the chat, not once`);
  const encode = (text: string): number[] =>
    tokenizer.encodeChat(
      messages.map(({ role, content }) => ({ role, content: content.split(mark).join(text) })),
      { addGenerationPrompt: true },
    ).tokens;
  const textOf = (suffix: readonly number[]): string => tokenizer.decode(suffix, { skipSpecial: false });

  for (const start of starts) {
    const ids = tokenizer.encode(start, { allowSpecial: false });
    if (ids.length !== 1) continue;
    const initial = new Array<number>(length).fill(ids[0]!);
    const tokens = encode(textOf(initial));
    const place = placeOf(tokens, initial);
    if (place === undefined) continue;
    const before = tokens.slice(0, place);
    const behind = tokens.slice(place + length);
    return {
      ...{ before, behind, initial, textOf },
      allowed: allowedTokens(tokenizer),
      survives(suffix) {
        const text = textOf(suffix);
        if (!printable.test(text) || text !== text.trimEnd()) return false;
        const again = encode(text);
        return (
          again.length === before.length + suffix.length + behind.length &&
          before.every((token, index) => again[index] === token) &&
          suffix.every((token, index) => again[before.length + index] === token) &&
          behind.every((token, index) => again[before.length + suffix.length + index] === token)
        );
      },
    };
  }
  throw new EngineError(
    'invalidInput',
    `the tokenizer keeps none of ${JSON.stringify(starts)} as a token of its own when it is repeated ${length} times: a suffix can not be searched for with it`,
  );
}

/** Where a run of tokens stands, from behind: the request before it may end in the same. */
function placeOf(tokens: readonly number[], run: readonly number[]): number | undefined {
  for (let start = tokens.length - run.length; start >= 0; start--) {
    if (run.every((token, index) => tokens[start + index] === token)) return start;
  }
  return undefined;
}

const printable = /^[\x20-\x7e]+$/;

function allowedTokens(tokenizer: Tokenizer): number[] {
  const allowed: number[] = [];
  for (let token = 0; token < tokenizer.vocabularySize; token++) {
    const text = textOfToken(tokenizer, token);
    // What spells a special token is shown as nothing when those are skipped.
    if (text !== undefined && printable.test(text)) allowed.push(token);
  }
  return allowed;
}

/** Undefined for a gap in the vocabulary. */
function textOfToken(tokenizer: Tokenizer, token: number): string | undefined {
  try {
    return tokenizer.decode([token], { skipSpecial: true });
  } catch {
    return undefined;
  }
}
