/**
 * Settings of a rubric judge behind an OpenAI-compatible endpoint. All but address and model are optional, so that a configuration without them keeps its
 * digest; `resolveJudge` is the one place with their defaults. The key comes from the environment (CADA_JUDGE_API_KEY), never from here.
 */
import { z } from 'zod';
import { voteRules } from '../judges/votes.ts';

const positive = z.int().min(1);

export const judgeSchema = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    // It is written into the store and the report.
    .refine(
      (url) => URL.parse(url)?.username === '' && URL.parse(url)?.password === '',
      'an address without user name and password: the key comes from CADA_JUDGE_API_KEY',
    )
    .describe('Base address of the endpoint, as `http://127.0.0.1:8000/v1`.'),
  model: z.string().min(1).describe('Name of the model at the endpoint.'),
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
  concurrency: positive.max(256).optional().describe('Most requests under way of one worker; absent = 4.'),
  requestsPerMinute: z.number().positive().optional().describe('Of one worker; absent = no limit.'),
  timeoutSeconds: z.number().positive().optional().describe('Of one attempt; absent = 60.'),
  attempts: positive.max(20).optional().describe('Of one question; absent = 5.'),
  maxCalls: positive.optional().describe('Budget of calls of one worker; absent = no limit.'),
  maxCost: z
    .number()
    .positive()
    .optional()
    .describe('Budget of money of one worker, by the two prices; absent = no limit.'),
  inputPrice: z.number().min(0).optional().describe('Of a million input tokens.'),
  outputPrice: z.number().min(0).optional().describe('Of a million output tokens.'),
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

/** How the endpoint is asked: changes speed and cost, never grades. */
export function askingSettings(settings: JudgeSettings) {
  const { url, model, requestsPerMinute, maxCalls, maxCost, inputPrice, outputPrice } = settings;
  const budget = {
    ...(maxCalls === undefined ? {} : { calls: maxCalls }),
    ...(maxCost === undefined ? {} : { cost: maxCost }),
  };
  return {
    url,
    model,
    concurrency: settings.concurrency ?? 4,
    timeoutMs: (settings.timeoutSeconds ?? 60) * 1000,
    attempts: settings.attempts ?? 5,
    budget,
    price: { input: inputPrice ?? 0, output: outputPrice ?? 0 },
    ...(requestsPerMinute === undefined ? {} : { requestsPerMinute }),
  };
}
