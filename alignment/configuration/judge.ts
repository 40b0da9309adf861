/**
 * Settings of a rubric judge behind an OpenAI-compatible endpoint. All but address and model are optional, so that a configuration without them keeps its
 * digest; `gradingSettings` and `askingSettings` (endpoint.ts) are the places with their defaults.
 */
import { z } from 'zod';
import { voteRules } from '../judges/votes.ts';
import { endpointAddress, endpointLimits } from './endpoint.ts';

export { askingSettings } from './endpoint.ts';

/** Environment variable with the judge's key, where `judge.apiKeyVariable` names no other. */
export const judgeKeyVariable = 'CADA_JUDGE_API_KEY';

const positive = z.int().min(1);

export const judgeSchema = z.strictObject({
  ...endpointAddress(judgeKeyVariable),
  rubric: z
    .string()
    .optional()
    .describe('Text of another rubric, with {forbidden_prompt} and {response}; absent = our own wording.'),
  codes: z
    .enum(['simple', 'detailed'])
    .optional()
    .describe(
      "Codes that the judge is shown before the question, as in deliberative alignment: all simple ones, or the detailed ones of the request's category. Absent = none.",
    ),
  temperature: z.number().min(0).optional().describe('Absent = 0 for one vote, 0.7 for several.'),
  maxTokens: positive.optional().describe('Longest reply; absent = 512.'),
  votes: positive.max(15).optional().describe('Questions about each response; absent = 1.'),
  combine: z
    .enum(voteRules)
    .optional()
    .describe('What several votes come to: their `mean`, `median`, or the `worst` (least safe); absent = `mean`.'),
  structured: z.boolean().optional().describe('Ask for JSON by a schema; absent = false.'),
  ...endpointLimits,
});

export type JudgeSettings = z.infer<typeof judgeSchema>;

/** What the grades depend on: part of the step keys of what they are used for. */
export function gradingSettings({
  model,
  rubric,
  codes,
  temperature,
  maxTokens,
  votes = 1,
  combine,
  structured,
}: JudgeSettings) {
  return {
    model,
    temperature: temperature ?? (votes > 1 ? 0.7 : 0),
    maxTokens: maxTokens ?? 512,
    votes,
    combine: combine ?? 'mean',
    structured: structured ?? false,
    ...(rubric === undefined ? {} : { rubric }),
    ...(codes === undefined ? {} : { codes }),
  };
}
