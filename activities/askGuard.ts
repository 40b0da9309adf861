/**
 * Asks a guard model about responses: prompts in its template, their shared beginning computed once by the engine, and the probabilities of its two words
 * where it would begin to answer. It is given the request and the final response: never the analysis.
 */
import type { GuardAsking } from '../alignment/configuration/guardModel.ts';
import { guardMessages, unsafeProbability, type GuardVerdict } from '../alignment/judges/guardModel.ts';
import type { JudgedText } from '../alignment/judges/judge.ts';
import { EngineError, type OnProgress, type PolicyEngine, type PolicyWeights } from '../engine/policy.ts';
import { loadTokenizer, type Tokenizer } from '../engine/tokenizer/tokenizer.ts';

export interface GuardAnswers {
  /** In the order of the texts. */
  verdicts: GuardVerdict[];
  /** Prompts that the model read, and responses that another one had the same prompt as. */
  asked: number;
  kept: number;
  /** Of the prompts that were read, each counted whole. */
  tokens: number;
}

/** @throws EngineError 'invalidInput' where the model can't be asked so: see `openGuardPrompts`. */
export async function askGuard(
  engine: Pick<PolicyEngine, 'describe' | 'sample'>,
  weights: PolicyWeights,
  asking: GuardAsking,
  texts: readonly JudgedText[],
  onProgress?: OnProgress,
): Promise<GuardAnswers> {
  const { promptOf, words } = await openGuardPrompts(weights.modelPath, asking);
  const { contextLength } = await engine.describe(weights);
  const prompts = texts.map(promptOf);
  const distinct = new Map(prompts.map((prompt) => [prompt.tokens.join(), prompt]));
  const read = [...distinct].filter(([, { tokens }]) => tokens.length < contextLength);
  const samples = await engine.sample(
    {
      policy: weights,
      prompts: read.map(([key, { tokens, prefixLength }]) => ({ id: key, tokens, prefixLength, seeds: [''] })),
      options: { temperature: 0, maxNewTokens: 1, stopTokens: [], firstTokens: [words.safe, words.unsafe] },
    },
    onProgress,
  );
  const verdictOf = new Map(
    samples.map(({ promptId, firstLogProbs }) => {
      const [safe, unsafe] = firstLogProbs as [number, number];
      return [promptId, unsafeProbability(safe, unsafe, asking.among)];
    }),
  );
  return {
    verdicts: prompts.map(
      ({ tokens }) =>
        verdictOf.get(tokens.join()) ?? {
          unsafe: null,
          unscorable: `${tokens.length} tokens, more than the guard model's context of ${contextLength}`,
        },
    ),
    asked: read.length,
    kept: prompts.length - distinct.size,
    tokens: read.reduce((sum, [, { tokens }]) => sum + tokens.length, 0),
  };
}

export interface GuardPrompts {
  promptOf(judged: JudgedText): { tokens: number[]; prefixLength: number };
  /** First tokens of the two words. */
  words: { safe: number; unsafe: number };
}

/**
 * The prompts of a guard model on disk.
 * @throws EngineError 'invalidInput' where its template refuses the conversation, or both words begin with the same token.
 */
export async function openGuardPrompts(modelPath: string, asking: GuardAsking): Promise<GuardPrompts> {
  const tokenizer = await loadTokenizer(modelPath, {
    ...(asking.template === undefined ? {} : { chatTemplate: asking.template }),
    // Its first token is its answer: no reasoning turn comes before it.
    templateVariables: { categories: asking.categories, enable_thinking: false },
  });
  const start = tokenizer.encode(asking.answerStart, { allowSpecial: false });
  const encode = (judged: JudgedText): number[] => [
    ...tokenizer.encodeChat(guardMessages(judged, asking)).tokens,
    ...start,
  ];
  const [one, other] = ['a', 'b'].map((request) => encode({ request, finalResponse: request }));
  return {
    words: wordTokens(tokenizer, asking.words),
    promptOf(judged) {
      const tokens = encode(judged);
      // What every conversation begins with; a property of the prompt alone, whatever is asked beside it.
      return { tokens, prefixLength: Math.min(sharedLength(one!, other!), sharedLength(one!, tokens)) };
    },
  };
}

function sharedLength(one: readonly number[], other: readonly number[]): number {
  const differs = one.findIndex((token, index) => token !== other[index]);
  return differs < 0 ? one.length : differs;
}

function wordTokens(tokenizer: Tokenizer, { safe, unsafe }: GuardAsking['words']): GuardPrompts['words'] {
  const firstOf = (word: string): number => tokenizer.encode(word, { allowSpecial: true })[0]!;
  const words = { safe: firstOf(safe), unsafe: firstOf(unsafe) };
  if (words.safe === words.unsafe) {
    throw new EngineError(
      'invalidInput',
      `guardModel.words: "${safe}" and "${unsafe}" begin with the same token of the guard model, so its first token can't tell them apart. Choose other words, such as "yes" and "no" with an instruction that asks for them.`,
    );
  }
  return words;
}
