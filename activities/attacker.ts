/** The attacker or translator behind an endpoint: asked by the digest of the question, its failures counted. What it writes is untrusted text. */
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { AttackerFailure, AttackerReply } from '../alignment/attacks/attackerReply.ts';
import { attackerKeyVariable, type ResolvedAttacks } from '../alignment/configuration/attacks.ts';
import type { ChatMessage } from '../alignment/prompts/guidedPrompt.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { EndpointError } from '../infra/endpoints/chatEndpoint.ts';
import { askKept, newTally, questionDigest, storedReplies, tallyFigures } from '../infra/endpoints/keptReplies.ts';
import { endpointFor } from './endpointPool.ts';
import { operatorFailure } from './stage.ts';
import type { Figures, RunContext } from './types.ts';

export interface Asked {
  messages: ChatMessage[];
  temperature: number;
  /** Of sampled replies: servers that know seeds answer the same. */
  seed?: number;
  /** Counts questions that are alike and yet to be asked anew. */
  slot?: number;
}

/** `unasked`: the budget was spent before. */
export type AttackerAnswer<T> = { text: T } | { failure: AttackerFailure | 'unasked' };

export interface Attacker {
  ask<T>(asked: Asked, read: (reply: string) => AttackerReply<T>): Promise<AttackerAnswer<T>>;
  /** Calls, cost and failures so far, as `attacker/asked`. */
  figures(): Figures;
}

/** A reply that can't be used is asked for once more. */
const tries = 2;

/**
 * @throws ApplicationFailure from `ask`: the operator's where the endpoint refuses key, model or address, else to be tried again; kept replies are not asked
 * for twice.
 */
export function openAttacker(store: ArtifactStore, run: RunContext, settings: ResolvedAttacks['attacker']): Attacker {
  if (!settings) throw operatorFailure('Attacker', 'the attack needs an attacker: a model behind an endpoint');
  const { temperature: _, maxTokens, ...address } = settings;
  const endpoint = endpointFor(store, run.runId, address, attackerKeyVariable);
  const cache = storedReplies(store, 'replies');
  const tally = newTally();
  const failures = { refused: 0, malformed: 0, unasked: 0 };
  const { cancellationSignal } = Context.current();
  return {
    async ask({ slot = 0, ...asked }, read) {
      const question = { ...asked, maxTokens, signal: cancellationSignal };
      let failure: AttackerFailure = 'malformed';
      for (let attempt = 0; attempt < tries; attempt++) {
        try {
          const digest = questionDigest(settings.model, question, slot, attempt);
          const said = read((await askKept({ endpoint, cache }, question, digest, tally)).text);
          if ('text' in said) return said;
          failure = said.failure;
        } catch (error) {
          if (!(error instanceof EndpointError)) throw error;
          if (error.fault === 'budget') {
            failures.unasked += 1;
            return { failure: 'unasked' };
          }
          const message = `the attacker could not be asked: ${error.message}`;
          throw error.fault === 'refused'
            ? operatorFailure('Attacker', message)
            : ApplicationFailure.retryable(message, 'Attacker');
        }
      }
      failures[failure] += 1;
      return { failure };
    },
    figures: () => ({
      ...tallyFigures('attacker', [tally]),
      ...Object.fromEntries(Object.entries(failures).map(([name, count]) => [`attacker/${name}`, count])),
    }),
  };
}
