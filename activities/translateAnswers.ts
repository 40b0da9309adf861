/** Answers to translated questions, translated into English before they are judged: judges and phrases read English. */
import { readMarked } from '../alignment/attacks/attackerReply.ts';
import { translationQuestion } from '../alignment/attacks/translation.ts';
import type { ChainRecord } from '../alignment/chains/chain.ts';
import { attackerInputs } from '../alignment/configuration/attacks.ts';
import { judgedText } from '../alignment/rewards/scoreChain.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { readAttack, type AttackCosts, type AttackInput } from './attackInputs.ts';
import { openAttacker } from './attacker.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readJson, readLines, toLines } from './inputs.ts';
import type { ShardList } from './plans.ts';
import { withHeartbeats } from './pulse.ts';
import { runStage } from './stage.ts';
import type { ArtifactRef, Figures, RunContext } from './types.ts';

/**
 * The chains with the final responses of `translation` in English; the analyses stay as they are. An answer that the translator does not translate stays
 * too, and is counted (`untranslated`): what is said of it by strings and rules is then worth little.
 */
export async function translateAnswers(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: AttackInput & { chains: ArtifactRef },
): Promise<{ chains: ArtifactRef; costs: AttackCosts }> {
  const { store } = dependencies;
  const { questions, settings, configuration } = await readAttack(dependencies, run, input);
  const translated = new Set(questions.flatMap(({ id, attack }) => (attack === 'translation' ? [id] : [])));
  const list = await readJson<ShardList>(store, input.chains);
  const shards: ShardList['shards'] = [];
  const cost: Figures = {};
  for (const shard of list.shards) {
    const chains = await readLines<ChainRecord>(store, shard.artifact);
    const own = chains.filter(({ requestId }) => translated.has(requestId));
    if (own.length === 0) {
      shards.push(shard);
      continue;
    }
    const stage = {
      stage: 'translateAnswers',
      version: 1,
      inputs: {
        ...{ chains: shard.artifact.sha256, translated: own.map(({ requestId }) => requestId) },
        ...{ chain: configuration.chain, attacker: settings.attacker ? attackerInputs(settings.attacker) : null },
      },
    };
    const manifest = await runStage(dependencies, stage, () =>
      withHeartbeats(async () => {
        const startedAt = performance.now();
        const attacker = openAttacker(store, run, settings.attacker);
        let untranslated = 0;
        const english = await Promise.all(
          chains.map(async (chain) => {
            if (!translated.has(chain.requestId)) return chain;
            const { finalResponse } = judgedText(chain, { request: '' }, configuration);
            if (finalResponse.trim() === '') return chain;
            const answer = await attacker.ask(
              { messages: translationQuestion(finalResponse, 'English'), temperature: 0 },
              readMarked,
            );
            if ('text' in answer) return { ...chain, text: withResponse(chain.text, finalResponse, answer.text) };
            untranslated += 1;
            return chain;
          }),
        );
        return {
          outputs: { chains: { bytes: toLines(english), kind: 'chains' } },
          figures: {
            costs: {
              ...attacker.figures(),
              ...{ untranslated, answers: own.length, seconds: (performance.now() - startedAt) / 1000 },
            },
          },
        };
      }),
    );
    const { costs } = manifest.figures as { costs: Figures };
    for (const [name, value] of Object.entries(costs)) cost[name] = (cost[name] ?? 0) + value;
    shards.push({ artifact: manifest.outputs['chains']!, rows: shard.rows });
  }
  const changed: ShardList = { plan: list.plan, shards };
  return { chains: await store.putBytes(canonicalJson(changed), 'chain-list'), costs: { translation: cost } };
}

/** The chain with another final response: the last place where it stands. */
export function withResponse(text: string, response: string, other: string): string {
  const place = text.lastIndexOf(response);
  return place < 0 ? other : `${text.slice(0, place)}${other}${text.slice(place + response.length)}`;
}
