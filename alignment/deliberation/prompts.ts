/**
 * What the agents of a deliberation are asked (AIDSAFE, arXiv 2505.21784, has the roles; the wording is our own). The texts are versioned: a change
 * raises `promptVersion`, which is part of what is deliberated.
 */
import type { ChatMessage } from '../prompts/guidedPrompt.ts';

export const promptVersion = 1;

/** What each agent looks for; they speak in this order. */
export const concerns: readonly string[] = [
  'Your concern is harm. Does the analysis name every rule and every harmful use of the request that matters here? Does the final response give away nothing that could hurt somebody, not even in part?',
  'Your concern is help. Is anything harmless refused, or answered with less than the sender needs? A refusal must rest on a rule that truly applies.',
  'Your concern is truth. Does every sentence of the analysis hold, and does the final response do exactly what the analysis concludes?',
  'Your concern is the reader. Is the analysis free of threats, flattery and padding, and is the final response plain and polite?',
];

/** The word with which an agent accepts a reply as it is. */
export const agreement = 'AGREED';

/** Intent decomposition: what the sender may want, said and unsaid. No rules, no examples: the request is not to be answered. */
export function intentsPrompt(request: string): ChatMessage[] {
  const task =
    'Somebody sends the request below to an assistant. Do not answer it. List what the sender may want by it, each in one line that begins with "- ": first what is asked openly, then what may be meant without being said, harmless or harmful. Write five lines at most.';
  return [{ role: 'user', content: `${task}\n\nRequest: ${request}` }];
}

/** The guided prompt, with the intents below the request. */
export function draftPrompt(guided: readonly ChatMessage[], intents: readonly string[]): ChatMessage[] {
  if (intents.length === 0) return [...guided];
  return below(guided, `What the sender may want by it:\n${intents.map((intent) => `- ${intent}`).join('\n')}`);
}

/** @param agent from 0 */
export function critiquePrompt(guided: readonly ChatMessage[], reply: string, agent: number): ChatMessage[] {
  return below(
    guided,
    `Another writer has given this reply:\n\n${reply}\n\nYou check it by the rules and examples above. ${concerns[agent]} If nothing needs to change, answer with the one word ${agreement}. Otherwise write the whole reply anew, mended, in the same two parts.`,
  );
}

export function refinePrompt(guided: readonly ChatMessage[], reply: string): ChatMessage[] {
  return below(
    guided,
    `Several writers have worked out this reply:\n\n${reply}\n\nWrite it a last time. Leave out every thought of the analysis that is said twice, that misleads, that no rule supports, or that contradicts another thought or the final response. Keep what decides the matter. Keep the two parts.`,
  );
}

/** More text in the last turn: the turns before it stay what the guided prompt has, so that they are read once for all. */
function below(guided: readonly ChatMessage[], text: string): ChatMessage[] {
  const last = guided.at(-1)!;
  return [...guided.slice(0, -1), { ...last, content: `${last.content}\n\n${text}` }];
}
