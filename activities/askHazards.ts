/** Asks a guard model which category requests are about: one prompt each, and the log-probabilities of the categories' codes where it would begin to answer. */
import { hazardMessages, type HazardAsking } from '../alignment/library/beaverTails/guardClassifier.ts';
import { EngineError, type PolicyEngine, type PolicyWeights } from '../engine/policy.ts';
import {
  askFirstTokens,
  classifierPrompts,
  loadClassifierTokenizer,
  sharedLength,
  type ClassifierPrompt,
} from './firstTokens.ts';

export interface HazardPrompts {
  promptOf(request: string): ClassifierPrompt;
  /** The token of each category's code. */
  codes: number[];
}

/**
 * The prompts of a guard model on disk. Codes are encoded with what the model says before them, as it would write them, and told apart by the first token in
 * which they differ.
 * @throws EngineError 'invalidInput' where the template refuses the request, or two codes have the same token there.
 */
export async function openHazardPrompts(modelPath: string, asking: HazardAsking): Promise<HazardPrompts> {
  const { categories, answerStart } = asking;
  const tokenizer = await loadClassifierTokenizer(modelPath, {
    ...asking,
    categories: categories.map(({ line }) => line),
  });
  const written = categories.map(({ code }) => tokenizer.encode(answerStart + code, { allowSpecial: false }));
  const start = sharedLength(written);
  const codes = written.map((tokens) => tokens[start]!);
  const same = codes.findIndex((token, index) => codes.indexOf(token) < index);
  if (same >= 0) {
    const [one, other] = [codes.indexOf(codes[same]!), same].map((index) => categories[index]!.code);
    throw new EngineError(
      'invalidInput',
      `The codes ${one} and ${other} begin with the same token of the guard model, so its first token can't tell them apart. Use \`codes: letters\`.`,
    );
  }
  const [a, b] = ['a', 'b'].map((request) => hazardMessages(request, asking));
  const promptOf = classifierPrompts(tokenizer, written[0]!.slice(0, start), [a!, b!]);
  return { codes, promptOf: (request) => promptOf(hazardMessages(request, asking)) };
}

/** Of each request the log-probability of every code, in their order; null = the prompt is longer than the model's context, or the model yields no numbers for it. */
export async function askHazards(
  engine: Pick<PolicyEngine, 'describe' | 'sample'>,
  weights: PolicyWeights,
  { promptOf, codes }: HazardPrompts,
  requests: readonly string[],
): Promise<(number[] | null)[]> {
  const { answers } = await askFirstTokens(engine, weights, requests.map(promptOf), codes);
  return answers.map((answer) => ('tooLong' in answer || !answer.every(Number.isFinite) ? null : answer));
}
