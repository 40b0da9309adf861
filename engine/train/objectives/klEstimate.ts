import type { Value } from '../../graph/builder.ts';
import * as op from '../../graph/operators.ts';
import type { KlEstimator } from '../../policy.ts';

/** Estimators of KL(policy || reference) from one sample, http://joschu.net/blog/kl-approx.html. */
export function klEstimate(estimator: KlEstimator, logProbs: Value, referenceLogProbs: Value): Value {
  const difference = op.sub(referenceLogProbs, logProbs);
  switch (estimator) {
    case 'k1':
      return op.neg(difference);
    case 'k2':
      return op.mul(op.mul(difference, difference), 0.5);
    case 'k3':
      return op.sub(op.sub(op.exp(difference), difference), 1);
  }
}
