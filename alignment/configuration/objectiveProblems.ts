/** Settings of an iteration that do not go together, each under the key to change. */
import type { Configuration } from './schema.ts';

type Iteration = Configuration['iteration'];

export interface ObjectiveProblem {
  key: keyof Iteration;
  message: string;
}

export function objectiveProblems(iteration: Iteration): ObjectiveProblem[] {
  const problems: ObjectiveProblem[] = [];
  const complain = (key: keyof Iteration, message: string) => problems.push({ key, message });
  const { objective, advantage, aggregation, guidance, ratioCap, clipHigh, klWeight, klPlacement } = iteration;
  const perSequence = objective === 'gspo' || objective === 'rloo';

  if (objective === 'cispo' && ratioCap < 1) {
    complain(
      'ratioCap',
      "'cispo' weighs tokens by their ratio, which is 1 on policy, up to a cap: set one of 1 or more (5 is usual)",
    );
  }
  if (objective !== 'cispo' && ratioCap !== 0 && ratioCap <= 1 + clipHigh) {
    complain(
      'ratioCap',
      `a cap of ${ratioCap} would act inside the clip, which ends at 1 + clipHigh = ${1 + clipHigh}: raise it, or use 0 for none`,
    );
  }
  if (iteration.refillRounds !== undefined && !iteration.skipUniform) {
    complain(
      'refillRounds',
      'groups without signal are only replaced where they are left out: set iteration.skipUniform',
    );
  }
  if (perSequence && iteration.generationWeights) {
    complain(
      'objective',
      `'${objective}' has one ratio a sequence, but chains drawn with rounded weights need an importance weight of each token: use 'grpo' or 'cispo', or leave generationWeights out`,
    );
  }
  if (perSequence && guidance !== 'raw') {
    complain(
      'objective',
      `'${objective}' has one ratio a sequence, but guided chains need an importance weight of each token: use 'grpo' or 'cispo', or guidance 'raw'`,
    );
  }
  if (objective === 'rloo' && aggregation !== 'sequence-mean')
    complain('aggregation', "'rloo' is a mean over sequences: use 'sequence-mean'");
  if (objective === 'rloo' && advantage !== 'leave-one-out' && advantage !== 'leave-one-out-batch') {
    complain(
      'advantage',
      "'rloo' compares each chain with the others of its group: use 'leave-one-out' or 'leave-one-out-batch'",
    );
  }
  if (objective === 'reinforce++' && !['whitened', 'token-whitened', 'group-mean-whitened'].includes(advantage)) {
    complain(
      'advantage',
      "'reinforce++' normalises over the batch: use 'whitened', 'token-whitened' or 'group-mean-whitened'",
    );
  }
  if ((objective === 'rloo' || objective === 'reinforce++') && klWeight > 0 && klPlacement !== 'reward')
    complain('klPlacement', `'${objective}' has KL in the reward: use 'reward', or klWeight 0`);
  if (klPlacement === 'reward' && klWeight > 0 && iteration.klRatioCorrection)
    complain('klRatioCorrection', 'KL in the reward has no ratio to be multiplied by: switch it off');
  return problems;
}
