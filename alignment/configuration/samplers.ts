/** Keys of the samplers, equal in the sections that draw chains. All are absent by default, so that none is part of a run that sets none. */
import { z } from 'zod';

export const samplerFields = {
  topK: z.int().min(1).optional().describe('Draw among so many most likely tokens; absent = all.'),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe('Draw among the fewest most likely tokens whose probabilities reach it; absent = all.'),
  minP: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe('Draw among tokens at least so many times as likely as the most likely one; absent = all.'),
  repetitionPenalty: z
    .number()
    .positive()
    .optional()
    .describe('Logits of tokens in prompt or chain are divided by it if positive, else multiplied; absent = 1.'),
  minNewTokens: z.int().min(0).optional().describe('No stop token is drawn before so many tokens; absent = 0.'),
  stopStrings: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('Texts that end a chain besides the stop tokens; they stay part of it.'),
};

/** Key of the weights that draw chains, in the same sections. */
export const generationWeights = z
  .enum(['eightBit'])
  .optional()
  .describe(
    '`eightBit`: chains are drawn with matrices rounded to 8 bits, which is faster for few sequences at once; the loss weighs each chain by what it was drawn from (importanceCap). Absent = float32.',
  );

/** The sampler options of a section. */
export type Samplers = z.infer<z.ZodObject<typeof samplerFields>>;

type SamplerKey = keyof typeof samplerFields;

const samplerKeys = Object.keys(samplerFields) as SamplerKey[];

/** Those of a section that are set, no other key. */
export function samplersOf(section: Samplers): Samplers {
  return Object.fromEntries(samplerKeys.filter((key) => section[key] !== undefined).map((key) => [key, section[key]]));
}

/** Values that leave the distribution as it is. */
const neutral: Partial<Record<SamplerKey, number>> = { topP: 1, minP: 0, repetitionPenalty: 1, minNewTokens: 0 };

interface SamplerProblem {
  section: 'warmStart' | 'iteration';
  key: SamplerKey;
  message: string;
}

/** Combinations that cannot be: options without effect, and samplers whose chains the loss would weigh wrongly. */
export function samplerProblems(configuration: {
  chain: { maxNewTokens: number };
  warmStart: Samplers & { temperature: number };
  iteration: Samplers & { temperature: number; guidance: string };
}): SamplerProblem[] {
  const { chain, warmStart, iteration } = configuration;
  const problems: SamplerProblem[] = [];
  for (const section of ['warmStart', 'iteration'] as const) {
    if ((configuration[section].minNewTokens ?? 0) > chain.maxNewTokens)
      problems.push({ section, key: 'minNewTokens', message: `at most chain.maxNewTokens = ${chain.maxNewTokens}` });
  }
  for (const key of ['topK', 'topP', 'minP'] as const) {
    if (warmStart.temperature === 0 && warmStart[key] !== undefined)
      problems.push({
        section: 'warmStart',
        key,
        message: 'greedy decoding (temperature 0) draws nothing: raise warmStart.temperature or leave it out',
      });
  }
  if (iteration.guidance === 'cases') return problems;
  for (const key of samplerKeys) {
    const value = iteration[key];
    if (key === 'stopStrings' || value === undefined || value === neutral[key]) continue;
    problems.push({
      section: 'iteration',
      key,
      message:
        "chains would come from another distribution than the one whose log-probabilities the loss takes, and the importance ratio would be biased; only guidance 'cases' weighs every chain by what it was drawn from (importanceCap): leave it out or use 'cases'",
    });
  }
  return problems;
}
