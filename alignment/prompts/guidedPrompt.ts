/** The messages that a policy is prompted with, with and without guidance. Turning them into tokens is the chat template's work. */
import { formatChain } from '../chains/chain.ts';
import type { ChainFormat } from '../chains/chain.ts';
import type { Configuration } from '../configuration/schema.ts';
import type { Case, CodeText, Library, SafetyRequest } from '../library/library.ts';
import { shownFormat } from './formatExamples.ts';
import { fillFormat } from './formatWords.ts';

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

export interface Prompt {
  messages: ChatMessage[];
  /** Leading messages that requests with the same codes and cases share: what the engine computes once for all of them. */
  sharedMessages: number;
}

export interface PromptSettings {
  codes: Configuration['cases']['codes'];
  layout: Configuration['cases']['layout'];
  headings: ChainFormat;
  /** Exchanges before the cases that show the two parts of a chain; absent = none. */
  formatExamples?: number | undefined;
}

/** What a configuration says of guided prompts. */
export const promptSettings = ({ cases, chain }: Pick<Configuration, 'cases' | 'chain'>): PromptSettings => ({
  codes: cases.codes,
  layout: cases.layout,
  headings: chain,
  formatExamples: cases.formatExamples,
});

/** The request alone: what the finished model is asked, and what training optimises. (A chat template may add a system message of its own.) */
export function rawPrompt(request: Pick<SafetyRequest, 'request'>): Prompt {
  return { messages: [{ role: 'user', content: request.request }], sharedMessages: 0 };
}

/**
 * The request with codes, instruction and cases.
 *
 * - layout `turns`: codes and instruction are the system message, each case is an earlier user turn and its assistant turn. A small model follows
 *   the format this way and hardly otherwise.
 * - layout `text`: everything in one user turn, as the paper prompts; nothing is shared in whole messages then.
 *
 * Without cases it is the prompt of the `codes` arm (reasoning over codes alone).
 */
export function guidedPrompt(
  request: Pick<SafetyRequest, 'request' | 'category'>,
  cases: readonly Case[],
  codes: Library['codes'],
  settings: PromptSettings,
): Prompt {
  const rules = [...codesFor(request, codes, settings.codes), codes.instruction]
    .map((code) => fillFormat(code.text.trim(), settings.headings))
    .join('\n\n');
  const exchanges = [
    ...shownFormat(settings.formatExamples ?? 0, settings.headings),
    ...cases.map(({ request: asked, analysis, response }) => ({
      request: asked,
      chain: formatChain(analysis, response, settings.headings),
    })),
  ];
  if (settings.layout === 'text') {
    const examples = exchanges.map((one, index) => `Example ${index + 1}\nRequest: ${one.request}\n${one.chain}`);
    const content = [rules, ...examples, `Request: ${request.request}`].join('\n\n');
    return { messages: [{ role: 'user', content }], sharedMessages: 0 };
  }
  const shared: ChatMessage[] = [
    { role: 'system', content: rules },
    ...exchanges.flatMap((one): ChatMessage[] => [
      { role: 'user', content: one.request },
      { role: 'assistant', content: one.chain },
    ]),
  ];
  return { messages: [...shared, { role: 'user', content: request.request }], sharedMessages: shared.length };
}

/** The codes that hold for a request, as one text without the instruction: what a judge that knows the codes is shown. */
export function codesText(
  request: Pick<SafetyRequest, 'category'>,
  codes: Library['codes'],
  which: PromptSettings['codes'],
  headings: ChainFormat,
): string {
  return codesFor(request, codes, which)
    .map((code) => fillFormat(code.text.trim(), headings))
    .join('\n\n');
}

/** Codes that hold for a request: all simple ones, or of the detailed ones the general tiers and those of the request's category. */
function codesFor(
  request: Pick<SafetyRequest, 'category'>,
  codes: Library['codes'],
  which: PromptSettings['codes'],
): CodeText[] {
  switch (which) {
    case 'none':
      return [];
    case 'simple':
      return [codes.simple];
    case 'detailed':
      return codes.detailed.filter((code) => code.category === undefined || code.category === request.category);
  }
}
