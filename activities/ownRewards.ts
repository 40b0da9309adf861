/** Runs the user's own reward functions over a shard of chains, each in a process of its own. */
import { Context } from '@temporalio/activity';
import { parseChain, type ChainRecord } from '../alignment/chains/chain.ts';
import type { OwnReward } from '../alignment/configuration/ownRewards.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { SafetyRequest } from '../alignment/library/library.ts';
import {
  ownOutcome,
  ownRewardArgument,
  type OwnOutcome,
  type OwnRewardArgument,
} from '../alignment/rewards/ownReward.ts';
import { IsolatedModuleError, openIsolatedModule } from '../infra/processes/isolatedModule.ts';
import { withHeartbeats } from './pulse.ts';
import { operatorFailure } from './stage.ts';
import type { Figures } from './types.ts';

export interface OwnOutcomes {
  /** By reward, then by chain. */
  outcomes: OwnOutcome[][];
  figures: Figures;
}

/** A function that never ends costs its time limit so often; afterwards all that is left is unscorable. */
const mostDeaths = 3;

/** @throws ApplicationFailure where a function has no value for more than `iteration.maxUnscorable` of the chains. */
export async function runOwnRewards(
  { rewards, chain: format, iteration }: Configuration,
  chains: readonly ChainRecord[],
  requests: ReadonlyMap<string, SafetyRequest>,
): Promise<OwnOutcomes> {
  if (!rewards.own) return { outcomes: [], figures: {} };
  const startedAt = performance.now();
  const asked = chains.map((chain) =>
    ownRewardArgument(chain, requests.get(chain.requestId)!, parseChain(chain.text, format)),
  );
  const outcomes: OwnOutcome[][] = [];
  // A call's own time limit bounds the wait: the pulse only tells that somebody waits.
  await withHeartbeats(async () => {
    for (const reward of rewards.own!) outcomes.push(await runOwnReward(reward, asked, iteration.maxUnscorable));
  });
  return { outcomes, figures: { 'own/seconds': (performance.now() - startedAt) / 1000 } };
}

async function runOwnReward(
  { name, file, code, timeoutSeconds, memoryMegabytes }: OwnReward,
  asked: readonly OwnRewardArgument[],
  mostUnscorable: number,
): Promise<OwnOutcome[]> {
  const module = openIsolatedModule({
    code: code!,
    typescript: /\.m?ts$/.test(file),
    timeoutMs: (timeoutSeconds ?? 5) * 1000,
    memoryMegabytes: memoryMegabytes ?? 256,
    mostDeaths,
  });
  const context = Context.current();
  const outcomes: OwnOutcome[] = [];
  try {
    for (const argument of asked) {
      context.cancellationSignal.throwIfAborted();
      outcomes.push(await outcomeOf(module, argument));
    }
  } finally {
    module.close();
  }
  const without = outcomes.filter(({ value }) => value === null);
  if (without.length > mostUnscorable * outcomes.length) {
    throw operatorFailure(
      'OwnReward',
      `rewards.own "${name}" has no value for ${without.length} of ${outcomes.length} chains: ${without[0]!.unscorable}. Correct ${file}: that is another run`,
    );
  }
  return outcomes;
}

async function outcomeOf(
  module: ReturnType<typeof openIsolatedModule>,
  argument: OwnRewardArgument,
): Promise<OwnOutcome> {
  try {
    return ownOutcome(await module.call(argument), module.exported.range);
  } catch (error) {
    if (!(error instanceof IsolatedModuleError)) throw error;
    return { value: null, unscorable: error.message };
  }
}
