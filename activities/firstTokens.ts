/**
 * A language model as a classifier: it is shown a prompt, and the log-probabilities of some tokens where it would begin to answer are read. No text is
 * generated, nothing is parsed.
 */
import type { ChatMessage } from '../alignment/prompts/guidedPrompt.ts';
import type { OnProgress, PolicyEngine, PolicyWeights } from '../engine/policy.ts';
import { loadTokenizer, type Tokenizer } from '../engine/tokenizer/tokenizer.ts';

export interface ClassifierPrompt {
  tokens: number[];
  prefixLength: number;
}

/**
 * The tokenizer of a model that classifies.
 * @param template absent = the model's own chat template
 * @param categories what a template may show by that name
 */
export function loadClassifierTokenizer(
  modelPath: string,
  { template, categories }: { template?: string; categories: readonly string[] },
): Promise<Tokenizer> {
  return loadTokenizer(modelPath, {
    ...(template === undefined ? {} : { chatTemplate: template }),
    // Its first token is its answer: no reasoning turn comes before it.
    templateVariables: { categories, enable_thinking: false },
  });
}

/**
 * The prompt of each dialogue, with what all dialogues begin with as the shared part, which the engine computes once.
 * @param start what the model says before its answer
 * @param examples two dialogues that differ in all that dialogues can differ in
 * @throws EngineError 'invalidInput' where the template refuses the dialogue.
 */
export function classifierPrompts(
  tokenizer: Tokenizer,
  start: readonly number[],
  examples: readonly [ChatMessage[], ChatMessage[]],
): (dialogue: ChatMessage[]) => ClassifierPrompt {
  const encode = (dialogue: ChatMessage[]): number[] => [...tokenizer.encodeChat(dialogue).tokens, ...start];
  const [one, other] = [encode(examples[0]), encode(examples[1])];
  return (dialogue) => {
    const tokens = encode(dialogue);
    // A property of the prompt alone, whatever is asked beside it.
    return { tokens, prefixLength: Math.min(sharedLength([one, other]), sharedLength([one, tokens])) };
  };
}

/** How many tokens all sequences begin with. */
export function sharedLength([first, ...others]: readonly (readonly number[])[]): number {
  const differs = first!.findIndex((token, index) => others.some((other) => other[index] !== token));
  return differs < 0 ? first!.length : differs;
}

export interface FirstTokenAnswers {
  /** In the order of the prompts: log p of each of the tokens, or why there are none. */
  answers: (number[] | { tooLong: string })[];
  /** Prompts that the model read, and those that another one was the same as. */
  asked: number;
  kept: number;
  /** Of the prompts that were read, each counted whole. */
  tokens: number;
}

export async function askFirstTokens(
  engine: Pick<PolicyEngine, 'describe' | 'sample'>,
  weights: PolicyWeights,
  prompts: readonly ClassifierPrompt[],
  firstTokens: number[],
  onProgress?: OnProgress,
): Promise<FirstTokenAnswers> {
  const { contextLength } = await engine.describe(weights);
  const distinct = new Map(prompts.map((prompt) => [prompt.tokens.join(), prompt]));
  const read = [...distinct].filter(([, { tokens }]) => tokens.length < contextLength);
  const samples = await engine.sample(
    {
      policy: weights,
      prompts: read.map(([key, { tokens, prefixLength }]) => ({ id: key, tokens, prefixLength, seeds: [''] })),
      options: { temperature: 0, maxNewTokens: 1, stopTokens: [], firstTokens },
    },
    onProgress,
  );
  const answerOf = new Map(samples.map(({ promptId, firstLogProbs }) => [promptId, firstLogProbs!]));
  return {
    answers: prompts.map(
      ({ tokens }) =>
        answerOf.get(tokens.join()) ?? {
          tooLong: `${tokens.length} tokens, more than the guard model's context of ${contextLength}`,
        },
    ),
    asked: read.length,
    kept: prompts.length - distinct.size,
    tokens: read.reduce((sum, [, { tokens }]) => sum + tokens.length, 0),
  };
}
