/** Section `iteration`: what a CADA iteration samples, and the objective that its step follows. */
import { z } from 'zod';
import { iterationArmFields } from './arms.ts';
import { guard } from './guard.ts';
import { iterationMarksField } from './marks.ts';
import { generationWeights, samplerFields } from './samplers.ts';
import { optimizerFields, positive, requestCounts, share } from './trainingFields.ts';

/** More would make the payload that tells what an iteration was made from larger than 4 KB (test/workflows/recordPayload.test.ts). */
export const mostRefillRounds = 5;

export const iteration = z.strictObject({
  count: z.int().min(0).default(3).describe('CADA iterations after the warm start.'),
  guidance: z
    .enum(['raw', 'cases', 'mixed'])
    .default('raw')
    .describe(
      'What chains are generated from: the raw request, the request with sampled codes and cases, or part of each group each way.',
    ),
  requests: requestCounts.default({ harmful: 4, plain: 2, lookAlike: 2 }).describe('Requests of one iteration.'),
  samplesPerRequest: positive.min(2).default(4).describe('Group size G.'),
  temperature: z.number().positive().default(1).describe('Of sampling, and of the log-probabilities in the loss.'),
  ...samplerFields,
  generationWeights,
  ...iterationArmFields,
  ...iterationMarksField,
  objective: z
    .enum(['grpo', 'gspo', 'cispo', 'rloo', 'reinforce++'])
    .default('grpo')
    .describe(
      'The policy-gradient loss; docs/objectives.md maps each to its paper. `grpo`: clipped ratio of each token (`aggregation`, `advantage` and the clips make it Dr. GRPO, BNPO or DAPO); `gspo`: clipped ratio of the sequence, by the mean of its log-ratios; `cispo`: capped ratio as a weight; `rloo`: clipped ratio of the sequence, by the sum; `reinforce++`: like `grpo`, with whitened advantages and KL in the reward.',
    ),
  aggregation: z
    .enum(['sequence-mean', 'token-mean', 'constant'])
    .default('token-mean')
    .describe(
      'Normaliser of the loss: GRPO (mean of sequence means), DAPO (all tokens), Dr. GRPO (sequences times maxNewTokens).',
    ),
  advantage: z
    .enum([
      'group',
      'group-mean',
      'batch',
      'leave-one-out',
      'leave-one-out-batch',
      'whitened',
      'group-mean-whitened',
      'token-whitened',
      'none',
    ])
    .default('group')
    .describe(
      'How rewards become advantages. Less the mean of the group, divided by the standard deviation of the group (`group`), by nothing (`group-mean`) or by that of all rewards (`batch`); less the mean of the other chains (`leave-one-out`, RLOO), also divided by the deviation of these differences (`leave-one-out-batch`); less the mean of the batch, divided by its deviation (`whitened`, REINFORCE++; `token-whitened`: each chain counts as often as it has tokens; `group-mean-whitened`: after the mean of the group); `none`: the reward itself.',
    ),
  clipLow: z
    .number()
    .min(0)
    .max(1)
    .default(0.2)
    .describe('The ratio of new to old probability is clipped below at 1 - clipLow.'),
  clipHigh: z
    .number()
    .min(0)
    .default(0.2)
    .describe('And above at 1 + clipHigh; a higher value than clipLow lets rare tokens rise (clip-higher).'),
  ratioCap: z
    .number()
    .min(0)
    .default(0)
    .describe(
      'Highest ratio; 0 = no cap. `cispo`: cap of the weight, needed; others: cap where the clip leaves the ratio free because the advantage is negative (two-sided clip).',
    ),
  entropyWeight: z
    .number()
    .min(0)
    .default(0)
    .describe('Weight of the entropy bonus, which is taken off the loss of each token; 0 = none.'),
  klWeight: z
    .number()
    .min(0)
    .default(0.04)
    .describe('Weight of the KL term that keeps the policy near its reference; 0 = no reference is computed.'),
  klEstimator: z
    .enum(['k1', 'k2', 'k3'])
    .default('k3')
    .describe(
      'Per-token estimate of KL by log-probabilities: k1 = -log r, k2 = (log r)^2 / 2, k3 = r - 1 - log r, with r = reference / policy.',
    ),
  klPlacement: z
    .enum(['loss', 'reward'])
    .default('loss')
    .describe(
      'Where the KL term goes: into the loss of each token, or, summed over the chain, into its reward; there no baseline contains it.',
    ),
  klRatioCorrection: z
    .boolean()
    .default(false)
    .describe("Multiply each token's KL in the loss by the importance ratio (TRL's use_bias_correction_kl)."),
  klReference: z
    .enum(['warmStart', 'base'])
    .default('warmStart')
    .describe('What KL is measured to: the warm-started policy or the base model.'),
  importanceCap: z
    .number()
    .positive()
    .default(2)
    .describe(
      'Cap of the truncated importance weight of chains drawn from another distribution than that of the raw request (guidance `cases` or `mixed`, generationWeights).',
    ),
  skipUniform: z
    .boolean()
    .default(false)
    .describe(
      'Leave groups without signal (all chains have advantage 0) out of the step and its normaliser, KL term included (the filter of dynamic sampling).',
    ),
  refillRounds: positive
    .max(mostRefillRounds)
    .optional()
    .describe(
      'With skipUniform: in place of groups without signal, groups of further requests of the same kinds are drawn, at most so many times; absent = none are.',
    ),
  overlongFilter: z
    .boolean()
    .default(false)
    .describe(
      'Leave chains that were cut by maxNewTokens out of the step and its normaliser; their rewards still count in the baseline of their group.',
    ),
  overlongBuffer: z
    .int()
    .min(0)
    .default(0)
    .describe(
      'Tokens before maxNewTokens over which a chain that ends in time loses more and more of rewards.overlong, all of it at the limit (soft penalty of DAPO); 0 = only cut chains lose it. For the advantages alone: recorded rewards stay as they are.',
    ),
  stepsPerBatch: z.literal(1).default(1).describe('Optimizer steps on one batch of chains.'),
  learningRate: optimizerFields.learningRate.default(1e-4),
  schedule: optimizerFields.schedule.default('constant'),
  warmupRatio: optimizerFields.warmupRatio.default(0),
  weightDecay: optimizerFields.weightDecay.default(0),
  maxGradNorm: optimizerFields.maxGradNorm.default(1),
  maxUnscorable: share
    .default(0.2)
    .describe('Share of chains without a reward above which the run stops for its operator.'),
  guard: guard
    .optional()
    .describe(
      'Rejects steps by itself: a loss or gradient that is not finite (also where the section is empty: `guard: {}`), KL or reward beyond a limit. Absent = the run waits for its operator at the first of these, and there are no limits.',
    ),
});
