/**
 * Deliberation over a chain (AIDSAFE, arXiv 2505.21784): what the sender may want is decomposed, a draft is written, agents criticise it by turns until
 * all others agree to it or the rounds are used up, and a refiner removes redundant, deceptive and inconsistent thoughts. Who plays the agents (the policy or a teacher) is
 * not this module's concern: it says what is asked next, and what a reply comes to.
 */
import { parseChain, type ChainFormat } from '../chains/chain.ts';
import { splitReasoning } from '../chains/reasoningTurn.ts';
import type { DeliberationSettings } from '../configuration/chainSource.ts';
import type { ChatMessage } from '../prompts/guidedPrompt.ts';
import { agreement, critiquePrompt, draftPrompt, intentsPrompt, promptVersion, refinePrompt } from './prompts.ts';

export type Phase = 'intents' | 'draft' | 'critique' | 'refine' | 'done';

/** One chain at work. */
export interface DeliberatedChain {
  requestId: string;
  sampleIndex: number;
  intents: string[];
  /** The reply so far, in two parts or not; null = none was written. */
  reply: string | null;
  /** Its writer's limit has cut the reply. */
  cut: boolean;
  /** How many agents have agreed to it, one after another. */
  agreements: number;
  critiques: number;
  revisions: number;
  refined: boolean;
}

export interface Deliberation {
  promptVersion: number;
  phase: Phase;
  /** Of critique, from 1; 0 before. */
  round: number;
  chains: DeliberatedChain[];
}

/** What a model has written for a chain. */
export interface AgentReply {
  text: string | null;
  cut: boolean;
}

export function openDeliberation(
  samples: readonly Pick<DeliberatedChain, 'requestId' | 'sampleIndex'>[],
): Deliberation {
  const blank = { reply: null, cut: false, agreements: 0, critiques: 0, revisions: 0, refined: false };
  return {
    ...{ promptVersion, phase: 'intents', round: 0 },
    chains: samples.map(({ requestId, sampleIndex }) => ({ requestId, sampleIndex, intents: [], ...blank })),
  };
}

/**
 * What is asked about a chain in this phase; undefined = nothing.
 * @param guided the guided prompt of its request: codes, cases, request
 * @param request the request alone
 */
export function questionAbout(
  { phase, round }: Deliberation,
  chain: DeliberatedChain,
  guided: readonly ChatMessage[],
  request: string,
  settings: DeliberationSettings,
): ChatMessage[] | undefined {
  if (phase === 'intents') return intentsPrompt(request);
  if (phase === 'draft') return draftPrompt(guided, chain.intents);
  if (chain.reply === null) return undefined;
  if (phase === 'critique' && !isAgreed(chain, settings))
    return critiquePrompt(guided, chain.reply, (round - 1) % settings.agents);
  return phase === 'refine' ? refinePrompt(guided, chain.reply) : undefined;
}

/**
 * Takes the replies of a phase in, and goes on to the next.
 * @param replyTo what was written for a chain that was asked about; undefined = nothing was asked
 */
export function hearReplies(
  deliberation: Deliberation,
  replyTo: (chain: DeliberatedChain) => AgentReply | undefined,
  settings: DeliberationSettings,
  format: ChainFormat,
): Deliberation {
  const chains = deliberation.chains.map((chain) => {
    const reply = replyTo(chain);
    return reply === undefined || reply.text === null
      ? chain
      : heard(deliberation.phase, chain, reply.text, reply.cut, format);
  });
  const open = chains.some((chain) => chain.reply !== null && !isAgreed(chain, settings));
  return { ...deliberation, chains, ...nextPhase(deliberation, open, settings.rounds) };
}

function nextPhase({ phase, round }: Deliberation, open: boolean, rounds: number): { phase: Phase; round: number } {
  switch (phase) {
    case 'intents':
      return { phase: 'draft', round };
    case 'draft':
    case 'critique':
      return open && round < rounds ? { phase: 'critique', round: round + 1 } : { phase: 'refine', round };
    default:
      return { phase: 'done', round };
  }
}

function heard(
  phase: Phase,
  chain: DeliberatedChain,
  text: string,
  cut: boolean,
  format: ChainFormat,
): DeliberatedChain {
  switch (phase) {
    case 'intents':
      return { ...chain, intents: intentsIn(spoken(text)) };
    case 'draft':
      return { ...chain, reply: text.trim(), cut };
    case 'critique':
      return criticised({ ...chain, critiques: chain.critiques + 1 }, text, cut, format);
    default:
      // A refiner that loses the form, or its end, has refined nothing.
      return isWhole(text, cut, format) ? { ...chain, reply: text.trim(), cut: false, refined: true } : chain;
  }
}

/** An agent agrees, or writes a better reply; what is neither is no vote. */
function criticised(chain: DeliberatedChain, text: string, cut: boolean, format: ChainFormat): DeliberatedChain {
  if (agrees(spoken(text))) return { ...chain, agreements: chain.agreements + 1 };
  if (!isWhole(text, cut, format) || text.trim() === chain.reply) return chain;
  return { ...chain, reply: text.trim(), cut: false, agreements: 0, revisions: chain.revisions + 1 };
}

/** All agents but the writer have agreed. */
function isAgreed({ agreements }: DeliberatedChain, { agents }: DeliberationSettings): boolean {
  return agreements >= agents - 1;
}

const isWhole = (text: string, cut: boolean, format: ChainFormat): boolean => !cut && parseChain(text, format).format;

/** What a model says after it has thought to itself. */
const spoken = (text: string): string => splitReasoning(text).rest;

const agrees = (text: string): boolean => new RegExp(`^\\W*${agreement}(?![\\p{L}\\p{N}])`, 'iu').test(text);

const mostIntents = 5;
const longestIntent = 240;

/** The lines of a list; without one, nothing is known of the sender's intents. */
function intentsIn(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) => /^\s*(?:[-*•]|\d+[.)])\s+(.+)$/.exec(line)?.[1]?.trim() ?? [])
    .map((intent) => intent.slice(0, longestIntent).toWellFormed())
    .slice(0, mostIntents);
}

/** What the deliberation has come to, for lineage and report. */
export function deliberationFigures(
  { chains, round }: Deliberation,
  settings: DeliberationSettings,
): Record<string, number> {
  const written = chains.filter(({ reply }) => reply !== null);
  const share = (of: (chain: DeliberatedChain) => boolean): number =>
    written.length === 0 ? 0 : written.filter(of).length / written.length;
  return {
    'deliberation/rounds': round,
    'deliberation/with_intents': share(({ intents }) => intents.length > 0),
    'deliberation/revised': share(({ revisions }) => revisions > 0),
    'deliberation/agreed': share((chain) => isAgreed(chain, settings)),
    'deliberation/refined': share(({ refined }) => refined),
  };
}
