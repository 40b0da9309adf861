/** Chains that the policy writes under a wrong belief: planned beside those of an iteration, in an artifact of their own, and read for preferences alone. */
import type { ChainRecord } from '../alignment/chains/chain.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { badBeliefPrompt, badBeliefSeed } from '../alignment/deliberation/badBelief.ts';
import { createRuleJudge } from '../alignment/judges/ruleJudge.ts';
import type { Library } from '../alignment/library/library.ts';
import { requestsById } from '../alignment/library/requestsById.ts';
import { guidedPrompt, promptSettings } from '../alignment/prompts/guidedPrompt.ts';
import { rightVerdict } from '../alignment/rewards/outcomeReward.ts';
import { judgedText } from '../alignment/rewards/scoreChain.ts';
import { deriveSeed } from '../infra/artifacts/seeds.ts';
import type { ArtifactRef, PolicyState, RunContext, ShardedPlan } from './types.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { publishDerivedPlan } from './derivedPlan.ts';
import { generatedChains } from './generateChains.ts';
import { readConfiguration, readJson, readLibrary, readLines } from './inputs.ts';
import { missing } from './planWrittenChains.ts';
import type { GenerationItem, GenerationPlan } from './plans.ts';

/** One prompt with a wrong belief for each request of the iteration's plan, in its shards. */
export async function planBadBeliefs(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: { plan: ArtifactRef },
): Promise<ShardedPlan> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const library = await readLibrary(store, run);
  const requests = requestsById(library);
  const own = await readJson<GenerationPlan>(store, input.plan);
  const { purpose } = own;
  const round = purpose.kind === 'iteration' ? `${purpose.iteration}.${purpose.epoch}` : purpose.kind;
  const planned = new Set<string>();
  const promptFor = (item: GenerationItem): GenerationItem[] => {
    const { requestId } = item;
    if (planned.has(requestId)) return [];
    planned.add(requestId);
    const request = requests.get(requestId)!;
    const { messages, sharedMessages } =
      item.guidance === 'cases' ? item : guidedPrompt(request, [], library.codes, promptSettings(configuration));
    const seeds = [deriveSeed(configuration.seed, badBeliefSeed, round, requestId)];
    const prompt = { messages: badBeliefPrompt(messages, request.label), sharedMessages };
    return [{ ...item, guidance: 'cases', ...prompt, firstSample: 0, seeds }];
  };
  return publishDerivedPlan(dependencies, own, promptFor, { plan: input.plan });
}

/** The chains of such a plan that did go wrong: a policy that did not take the belief has written nothing to reject. */
export async function badBeliefChains(
  dependencies: ActivityDependencies,
  configuration: Configuration,
  library: Library,
  input: { plan: ArtifactRef; policy: PolicyState },
): Promise<ChainRecord[]> {
  const { store } = dependencies;
  const requests = requestsById(library);
  const judge = createRuleJudge(library.judges.refusal);
  const plan = await readJson<GenerationPlan>(store, input.plan);
  const wrong: ChainRecord[] = [];
  for (const shard of plan.shards.keys()) {
    const manifest = await generatedChains(dependencies, plan, shard, input.policy, configuration);
    if (!manifest) throw missing(`the bad-belief chains of shard ${shard}`, dependencies);
    for (const chain of await readLines<ChainRecord>(store, manifest.outputs['chains']!)) {
      const request = requests.get(chain.requestId)!;
      const judgement = judge(judgedText(chain, request, configuration));
      if ('verdict' in judgement && judgement.verdict !== rightVerdict(request.kind)) wrong.push(chain);
    }
  }
  return wrong;
}
