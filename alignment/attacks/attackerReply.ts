/** What an attacker model answers: a rewording between marks, or nothing that can be used. All of it is untrusted text. */
import { xstestRefusalOpening } from '../judges/xstestStrings.ts';

/** `refused`: it declines; `malformed`: what came is in no form that was asked for. */
export type AttackerFailure = 'refused' | 'malformed';

export type AttackerReply<T> = { text: T } | { failure: AttackerFailure };

/** No request of a benchmark is nearly as long: more would be a copy of itself without end. */
export const longestPrompt = 8000;

/** The text between the last <message> and </message>; without a closing mark (a reply that was cut) it is malformed. */
export function readMarked(reply: string): AttackerReply<string> {
  const parts = [...reply.matchAll(/<message>([^]*?)<\/message>/g)];
  const text = parts.at(-1)?.[1]?.trim() ?? '';
  return text === '' || text.length > longestPrompt ? { failure: failureOf(reply) } : { text };
}

export const failureOf = (reply: string): AttackerFailure =>
  xstestRefusalOpening(reply.trim()) === undefined ? 'malformed' : 'refused';
