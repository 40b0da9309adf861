/**
 * An OpenAI-compatible chat endpoint (`POST <url>/chat/completions`), asked politely: so many requests at once and a minute, with a time limit, retries
 * with jitter, and a budget of calls and money.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { redactorOf } from '../logging/redaction.ts';
import { createTokenBucket } from './tokenBucket.ts';

export interface ChatEndpointSettings {
  /** Base address, as `http://127.0.0.1:8000/v1`. */
  url: string;
  model: string;
  /** Sent as a bearer token. Comes from the environment, never from a configuration. Where an endpoint says it again, replies and errors have `[redacted]`. */
  apiKey?: string;
  /** Most requests under way. */
  concurrency: number;
  /** Absent = no limit. */
  requestsPerMinute?: number;
  /** Of one attempt, until the whole reply is there. */
  timeoutMs: number;
  /** Of one question. */
  attempts: number;
  /** First pause between attempts; it doubles, to 30 s at most, and is drawn between nothing and that. */
  pauseMs?: number;
  /** Absent = no limit. Every attempt counts as a call. */
  budget?: Budget;
  /** In any money, a million tokens. */
  price?: { input: number; output: number };
}

export interface Budget {
  calls?: number;
  cost?: number;
}

/** Counts what is asked for and paid, against a budget: of this endpoint alone, or together with others (storedSpending.ts). */
export interface Spending {
  /** As far as it is known here; it only grows. */
  readonly known: { calls: number; cost: number };
  /** Counts a call that is about to be made. @throws EndpointError where the budget is spent */
  takeCall(): Promise<void>;
  /** Counts what a reply has cost. */
  pay(cost: number): Promise<void>;
}

export interface ChatQuestion {
  messages: readonly { role: 'system' | 'user' | 'assistant'; content: string }[];
  temperature: number;
  maxTokens: number;
  /** For servers that can draw the same reply again; absent = not sent. */
  seed?: number;
  /** JSON Schema that the reply must keep to, for servers that can enforce it. */
  schema?: object;
  signal?: AbortSignal;
}

export interface ChatReply {
  text: string;
  inputTokens: number;
  outputTokens: number;
  cost: number;
  latencyMs: number;
  /** The reply ends where `maxTokens` cut it. */
  cut?: true;
}

export interface ChatEndpoint {
  /** @throws EndpointError */
  ask(question: ChatQuestion): Promise<ChatReply>;
  /** What all questions to this endpoint so far have come to. */
  readonly spent: { calls: number; inputTokens: number; outputTokens: number; cost: number };
}

/** `refused`: the endpoint says no, and will again (key, model, address); `budget`: nothing more may be asked; the others were tried several times. */
export type EndpointFault = 'refused' | 'budget' | 'unavailable' | 'malformed';

export class EndpointError extends Error {
  override readonly name = 'EndpointError';
  readonly fault: EndpointFault;

  constructor(fault: EndpointFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

const longestPauseMs = 30_000;

/**
 * @param random uniform numbers for the jitter. @default Math.random
 * @param spending where calls and costs are counted. @default here alone
 */
export function openChatEndpoint(
  settings: ChatEndpointSettings,
  random: () => number = Math.random,
  spending: Spending = ownSpending(settings.budget),
): ChatEndpoint {
  const limit = pLimit(settings.concurrency);
  const bucket = settings.requestsPerMinute === undefined ? undefined : createTokenBucket(settings.requestsPerMinute);
  const spent = { calls: 0, inputTokens: 0, outputTokens: 0, cost: 0 };

  const askPatiently = async (question: ChatQuestion): Promise<ChatReply> => {
    for (let attempt = 1; ; attempt++) {
      // Where nothing is left, nobody waits for their turn to hear of it.
      requireBudget(settings.budget, spending.known);
      await bucket?.take(question.signal);
      await spending.takeCall();
      spent.calls += 1;
      let reply: ChatReply;
      try {
        reply = await askOnce(settings, question);
      } catch (error) {
        question.signal?.throwIfAborted();
        const lasting = error instanceof EndpointError && error.fault === 'refused';
        if (lasting || attempt >= settings.attempts) throw error;
        const asked = error instanceof Turned ? error.retryAfterMs : undefined;
        const pause = Math.min((settings.pauseMs ?? 500) * 2 ** (attempt - 1), longestPauseMs);
        await sleep(asked ?? random() * pause, undefined, question.signal ? { signal: question.signal } : {});
        continue;
      }
      spent.inputTokens += reply.inputTokens;
      spent.outputTokens += reply.outputTokens;
      spent.cost += reply.cost;
      await spending.pay(reply.cost);
      return reply;
    }
  };
  return { ask: (question) => limit(() => askPatiently(question)), spent };
}

function ownSpending(budget: Budget | undefined): Spending {
  const known = { calls: 0, cost: 0 };
  return {
    known,
    takeCall: async () => {
      requireBudget(budget, known);
      known.calls += 1;
    },
    pay: async (cost) => void (known.cost += cost),
  };
}

/** @throws EndpointError */
export function requireBudget(budget: Budget | undefined, spent: Spending['known']): void {
  if (budget?.calls !== undefined && spent.calls >= budget.calls) {
    throw new EndpointError('budget', `the budget of ${budget.calls} calls is spent`);
  }
  if (budget?.cost !== undefined && spent.cost >= budget.cost) {
    throw new EndpointError('budget', `the budget of ${budget.cost} is spent`);
  }
}

/** The endpoint asks to come back later. */
class Turned extends EndpointError {
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs: number | undefined) {
    super('unavailable', message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Whatever an endpoint says comes in here, and leaves without the key. */
async function askOnce(settings: ChatEndpointSettings, question: ChatQuestion): Promise<ChatReply> {
  const startedAt = performance.now();
  const address = `${settings.url.replace(/\/+$/, '')}/chat/completions`;
  const redacted = redactorOf(settings.apiKey ? [settings.apiKey] : []);
  const timeout = AbortSignal.timeout(settings.timeoutMs);
  let response: Response;
  let body: string;
  try {
    response = await fetch(address, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(settings.apiKey ? { authorization: `Bearer ${settings.apiKey}` } : {}),
      },
      body: JSON.stringify(requestBody(settings.model, question)),
      signal: question.signal ? AbortSignal.any([question.signal, timeout]) : timeout,
      redirect: 'error',
    });
    body = await response.text();
  } catch (error) {
    question.signal?.throwIfAborted();
    const why = timeout.aborted ? `no reply within ${settings.timeoutMs / 1000} s` : causeOf(error);
    // Without the error itself: what quotes a header that can't be sent would be written down with it.
    throw new EndpointError('unavailable', `${address}: ${redacted(why)}`);
  }
  if (!response.ok) throw faultOf(address, response, redacted(withoutEscapes(body)));
  const completion = readReply(address, body);
  const { inputTokens, outputTokens } = completion;
  const { price } = settings;
  return {
    ...completion,
    text: redacted(completion.text),
    cost: price ? (inputTokens * price.input + outputTokens * price.output) / 1e6 : 0,
    latencyMs: performance.now() - startedAt,
  };
}

/** JSON may write a key's characters as `\u002d` and `\/`. */
function withoutEscapes(body: string): string {
  return body.replace(/\\(?:u00([2-7][0-9a-f])|(\/))/gi, (_, code?: string, slash?: string) =>
    code === undefined ? slash! : String.fromCharCode(parseInt(code, 16)),
  );
}

function requestBody(model: string, { messages, temperature, maxTokens, seed, schema }: ChatQuestion): object {
  return {
    model,
    messages,
    temperature,
    max_tokens: maxTokens,
    ...(seed === undefined ? {} : { seed }),
    ...(schema
      ? { response_format: { type: 'json_schema', json_schema: { name: 'reply', strict: true, schema } } }
      : {}),
  };
}

function faultOf(address: string, response: Response, body: string): EndpointError {
  const said = body.replace(/\s+/g, ' ').slice(0, 200);
  const message = `${address} answered ${response.status}${said === '' ? '' : `: ${said}`}`;
  if (response.status === 429 || response.status === 408 || response.status >= 500) {
    const seconds = Number(response.headers.get('retry-after') ?? NaN);
    const retryAfterMs = Number.isFinite(seconds) ? Math.min(seconds * 1000, longestPauseMs) : undefined;
    return new Turned(message, retryAfterMs);
  }
  return new EndpointError('refused', message);
}

interface Completion {
  choices?: { message?: { content?: unknown }; finish_reason?: unknown }[];
  usage?: { prompt_tokens?: unknown; completion_tokens?: unknown };
}

function readReply(address: string, body: string): Omit<ChatReply, 'cost' | 'latencyMs'> {
  let completion: Completion | null;
  try {
    completion = JSON.parse(body) as Completion | null;
  } catch {
    // The parser's error quotes the body.
    throw new EndpointError('malformed', `${address} sent no JSON`);
  }
  const text = completion?.choices?.[0]?.message?.content;
  if (typeof text !== 'string') throw new EndpointError('malformed', `${address} sent no choices[0].message.content`);
  return {
    // Half a surrogate pair is no text, and could not be kept.
    text: text.toWellFormed(),
    inputTokens: countOf(completion?.usage?.prompt_tokens),
    outputTokens: countOf(completion?.usage?.completion_tokens),
    ...(completion?.choices?.[0]?.finish_reason === 'length' ? { cut: true as const } : {}),
  };
}

/** Anything may stand where a count is expected, and it would be kept. */
const countOf = (value: unknown): number => (typeof value === 'number' && value >= 0 ? value : 0);

/** fetch says "fetch failed"; why is in its cause. */
function causeOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message !== '' ? cause.message : message;
}
