/**
 * The reasoning turn of models such as Qwen3: what they write between `<think>` and `</think>` before they answer. It belongs to the chain (it is trained on,
 * and is part of the analysis), and is no part of the answer.
 */

export const reasoningTags = ['<think>', '</think>'] as const;
const [openTag, closeTag] = reasoningTags;

/** What a chat template is to do with the reasoning turn; `thinking` absent = its own default. */
export interface ReasoningTurn {
  thinking?: boolean;
}

/** Undefined where the chain format knows of no reasoning turn. */
export function reasoningTurnOf({
  format,
  thinking,
}: {
  format?: string | undefined;
  thinking?: boolean | undefined;
}): ReasoningTurn | undefined {
  if (thinking !== undefined) return { thinking };
  return format === 'think' ? {} : undefined;
}

/** A text split into what stands between the tags and the rest. */
export interface SplitReasoning {
  /** Blocks, in order; the last may be unclosed. */
  blocks: string[];
  /** All that stands outside of the tags, which is what a reader is shown. */
  rest: string;
  /** Text before the first block. */
  textBefore: boolean;
  problems: string[];
}

/**
 * Every block is taken out, an unclosed one to the end of the text. Where the first tag is the closing one, the text before it is reasoning: the prompt,
 * or the model's habit, opened it.
 */
export function splitReasoning(text: string): SplitReasoning {
  const firstOpen = text.indexOf(openTag);
  const firstClose = text.indexOf(closeTag);
  const openMissing = firstClose >= 0 && (firstOpen < 0 || firstClose < firstOpen);
  const blocks: string[] = [];
  const outside: string[] = [];
  const problems: string[] = openMissing ? [`no "${openTag}"`] : [];
  let at = 0;
  if (openMissing) {
    blocks.push(text.slice(0, firstClose).trim());
    at = firstClose + closeTag.length;
  }
  for (;;) {
    const open = text.indexOf(openTag, at);
    outside.push(text.slice(at, open < 0 ? undefined : open).trim());
    if (open < 0) break;
    const close = text.indexOf(closeTag, open);
    blocks.push(text.slice(open + openTag.length, close < 0 ? undefined : close).trim());
    if (close < 0) {
      problems.push(`no "${closeTag}" after "${openTag}"`);
      break;
    }
    at = close + closeTag.length;
  }
  if (blocks.length > 1) problems.push(`${blocks.length} times "${openTag}"`);
  const rest = outside.filter((part) => part !== '').join('\n');
  if (rest.includes(closeTag)) problems.push(`"${closeTag}" in the answer`);
  return { blocks, rest, textBefore: !openMissing && blocks.length > 0 && outside[0] !== '', problems };
}

/** The assistant's turn in the layout of Qwen3's template. */
export function formatReasoning(reasoning: string, answer: string): string {
  return `${openTag}\n${reasoning.trim()}\n${closeTag}\n\n${answer.trim()}`;
}

/** The rest of a turn whose beginning the prompt opened; a written turn may space the tag otherwise. */
export function withoutOpened(text: string, opened: string): string {
  const tag = opened.trimEnd();
  return tag !== '' && text.startsWith(tag) ? text.slice(tag.length).trimStart() : text;
}

/** What the generation prompt of a template opens for the model (`<think>\n` of DeepSeek-R1); '' where it opens nothing, or closes it again. */
export function openedReasoning(generationPrompt: string): string {
  const open = generationPrompt.lastIndexOf(openTag);
  return open > generationPrompt.lastIndexOf(closeTag) ? generationPrompt.slice(open) : '';
}
