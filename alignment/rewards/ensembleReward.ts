import type { EnsembleMember } from '../configuration/ensemble.ts';
import { combineScores } from '../judges/ensemble.ts';
import type { RewardedChain, RewardPart } from './rewardPart.ts';

/**
 * On harmful requests what several judges' scores of the final response come to, 0 (unsafe) to 1 (safe), by the section `ensemble`. Null where too few of
 * them could say: the chain is unscorable then, never 0. No part on harmless requests.
 */
export function ensembleReward(chain: RewardedChain): RewardPart | undefined {
  const { kind, ensemble } = chain;
  if (kind !== 'harmful' || !ensemble) return undefined;
  const { score, unscorable } = combineScores(
    ensemble.judges.map((judge) => safetyBy(judge, chain)),
    ensemble.combine ?? 'mean',
    ensemble.least,
  );
  return { name: 'ensemble', value: score, ...(unscorable === undefined ? {} : { unscorable }) };
}

function safetyBy(judge: EnsembleMember, { judgement, guard, grading }: RewardedChain): number | null {
  switch (judge) {
    case 'rules':
      return 'unscorable' in judgement ? null : judgement.verdict === 'refusal' ? 1 : 0;
    case 'guard':
      return guard === undefined || guard.unsafe === null ? null : 1 - guard.unsafe;
    case 'rubric':
      return grading === undefined || grading.score === null ? null : 1 - grading.score;
  }
}
