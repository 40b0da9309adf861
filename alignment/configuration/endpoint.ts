/**
 * Settings that every OpenAI-compatible endpoint has (rubric judge, teacher, attacker): address and model, and how it is asked. All but address and
 * model are optional, so that a configuration without them keeps its digest; `askingSettings` is the one place with their defaults. A key comes from an
 * environment variable, never from a configuration: that is stored.
 */
import { z } from 'zod';

const positive = z.int().min(1);

/** @param keyVariable the environment variable with the key, where `apiKeyVariable` names no other. */
export function endpointAddress(keyVariable: string) {
  return {
    url: z
      .url({ protocol: /^https?$/ })
      // It is written into the store and the report.
      .refine(
        (url) => URL.parse(url)?.username === '' && URL.parse(url)?.password === '',
        `an address without user name and password: the key comes from ${keyVariable}`,
      )
      .describe('Base address of the endpoint, as `http://127.0.0.1:8000/v1`.'),
    model: z.string().min(1).describe('Name of the model at the endpoint.'),
    apiKeyVariable: z
      .string()
      // Other secrets of a worker's environment must not be sent to an address that a configuration names.
      .regex(
        /^(?!AWS_|TEMPORAL_)[A-Z][A-Z0-9_]*_API_KEY$/,
        'the name of an environment variable that ends in _API_KEY (never a key itself, nor one of AWS or Temporal)',
      )
      .optional()
      .describe(`Environment variable of the workers that holds the key; absent = \`${keyVariable}\`.`),
  };
}

export const endpointLimits = {
  concurrency: positive.max(256).optional().describe('Most requests under way of one worker; absent = 4.'),
  requestsPerMinute: z.number().positive().optional().describe('Of one worker; absent = no limit.'),
  timeoutSeconds: z.number().positive().optional().describe('Of one attempt; absent = 60.'),
  attempts: positive.max(20).optional().describe('Of one question; absent = 5.'),
  maxCalls: positive
    .optional()
    .describe('Budget of calls of a run, over all its workers and restarts; absent = no limit.'),
  maxCost: z.number().positive().optional().describe('Budget of money of a run, by the two prices; absent = no limit.'),
  inputPrice: z.number().min(0).optional().describe('Of a million input tokens.'),
  outputPrice: z.number().min(0).optional().describe('Of a million output tokens.'),
};

type Fields = ReturnType<typeof endpointAddress> & typeof endpointLimits;

export type EndpointSettings = z.infer<z.ZodObject<Fields>>;

/** How the endpoint is asked: changes speed and cost, never replies. What `openChatEndpoint` (infra/endpoints) takes, but for the key. */
export function askingSettings(settings: EndpointSettings) {
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

/**
 * What questions will cost, by the prices, with replies as long as they may be; 0 where there are none, null where there are calls but no prices.
 * @param inputTokens of one question
 * @param outputTokens most of one reply
 */
export function costOfCalls(
  { inputPrice, outputPrice }: Pick<EndpointSettings, 'inputPrice' | 'outputPrice'>,
  calls: number,
  inputTokens: number,
  outputTokens: number,
): number | null {
  if (calls === 0) return 0;
  if (inputPrice === undefined && outputPrice === undefined) return null;
  return (calls * (inputTokens * (inputPrice ?? 0) + outputTokens * (outputPrice ?? 0))) / 1e6;
}
