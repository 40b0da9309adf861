import * as op from '../../graph/operators.ts';
import type { Objective } from '../../policy.ts';
import { policyGradient } from './policyGradient.ts';
import type { ObjectiveGraph } from './tokenStreams.ts';

/** The graph function of an objective. */
export function objectiveGraph(objective: Objective): ObjectiveGraph {
  return objective.name === 'sft' ? SFT : policyGradient(objective);
}

/** Negative log-likelihood. */
const SFT: ObjectiveGraph = {
  key: 'sft',
  settings: {},
  temperature: 1,
  needsReference: false,
  tokenLosses: ({ logProbs }) => ({ loss: op.neg(logProbs) }),
};
