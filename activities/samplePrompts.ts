/** The items of a shard as the engine takes them: tokens, and how many of those an item shares with others. */
import { withoutOpened } from '../alignment/chains/reasoningTurn.ts';
import type { SamplePrompt } from '../engine/policy.ts';
import type { ChatTokenizer } from './chatTokenizer.ts';
import type { GenerationItem } from './plans.ts';

export function promptId(item: GenerationItem): string {
  return `${item.requestId}#${item.firstSample}`;
}

/** A prompt's tokens and its prefix depend on the item alone, whatever else is in the shard. */
export function encodePrompts(tokenizer: ChatTokenizer, items: readonly GenerationItem[]): SamplePrompt[] {
  const prefixLengthOf = prefixLengths(tokenizer);
  return items.map((item) => {
    const { tokens, messageEnds } = tokenizer.encodeChat(item.messages, { addGenerationPrompt: true });
    // As plain text: a model wrote it, and what spells a special token must not end its turn.
    const begun =
      item.begun === undefined
        ? []
        : tokenizer.encode(withoutOpened(item.begun, tokenizer.opened), { allowSpecial: false });
    return {
      id: promptId(item),
      tokens: [...tokens, ...begun],
      prefixLength: prefixLengthOf(item, tokens, messageEnds),
      seeds: item.seeds,
    };
  });
}

/** How many of an item's tokens others may have too: its opening, else its shared messages, else what the template begins with. */
function prefixLengths(tokenizer: ChatTokenizer) {
  const openings = new Map<string, number[]>();
  let ofTemplate: number | undefined;
  return ({ messages, sharedMessages, opening }: GenerationItem, tokens: number[], messageEnds: number[]): number => {
    if (opening !== undefined) {
      const { role, content } = messages[sharedMessages]!;
      const opened = [...messages.slice(0, sharedMessages), { role, content: content.slice(0, opening) }];
      const text = JSON.stringify(opened);
      if (!openings.has(text)) openings.set(text, tokenizer.encodeChat(opened).tokens);
      return commonTokens(tokens, openings.get(text)!);
    }
    if (sharedMessages > 0) return messageEnds[sharedMessages - 1]!;
    return (ofTemplate ??= templatePrefix(tokenizer));
  };
}

/** Tokens that the template puts in front of every first user message (a system message of its own): shared by all raw requests. */
function templatePrefix(tokenizer: ChatTokenizer): number {
  const [one, other] = ['a', 'b'].map((content) => tokenizer.encodeChat([{ role: 'user', content }]).tokens);
  return commonTokens(one!, other!);
}

/** How many leading tokens two texts have in common; all but the last, where one is the other. */
function commonTokens(one: readonly number[], other: readonly number[]): number {
  const differs = one.findIndex((token, index) => token !== other[index]);
  return differs < 0 ? Math.max(one.length - 1, 0) : differs;
}
