/**
 * Asks a guard model about responses: prompts in its template, and the probabilities of its two words where it would begin to answer. It is given the
 * request and the final response: never the analysis.
 */
import type { GuardAsking } from '../alignment/configuration/guardModel.ts';
import { guardMessages, unsafeProbability, type GuardVerdict } from '../alignment/judges/guardModel.ts';
import type { JudgedText } from '../alignment/judges/judge.ts';
import { EngineError, type OnProgress, type PolicyEngine, type PolicyWeights } from '../engine/policy.ts';
import type { Tokenizer } from '../engine/tokenizer/tokenizer.ts';
import {
  askFirstTokens,
  classifierPrompts,
  loadClassifierTokenizer,
  type ClassifierPrompt,
  type FirstTokenAnswers,
} from './firstTokens.ts';

export interface GuardAnswers extends Omit<FirstTokenAnswers, 'answers'> {
  /** In the order of the texts. */
  verdicts: GuardVerdict[];
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
  const { answers, ...counts } = await askFirstTokens(
    engine,
    weights,
    texts.map(promptOf),
    [words.safe, words.unsafe],
    onProgress,
  );
  const verdicts = answers.map((answer) =>
    'tooLong' in answer
      ? { unsafe: null, unscorable: answer.tooLong }
      : unsafeProbability(answer[0]!, answer[1]!, asking.among),
  );
  return { verdicts, ...counts };
}

export interface GuardPrompts {
  promptOf(judged: JudgedText): ClassifierPrompt;
  /** First tokens of the two words. */
  words: { safe: number; unsafe: number };
}

/**
 * The prompts of a guard model on disk.
 * @throws EngineError 'invalidInput' where its template refuses the conversation, or both words begin with the same token.
 */
export async function openGuardPrompts(modelPath: string, asking: GuardAsking): Promise<GuardPrompts> {
  const tokenizer = await loadClassifierTokenizer(modelPath, asking);
  const start = tokenizer.encode(asking.answerStart, { allowSpecial: false });
  const [one, other] = ['a', 'b'].map((text) => guardMessages({ request: text, finalResponse: text }, asking));
  const promptOf = classifierPrompts(tokenizer, start, [one!, other!]);
  return { words: wordTokens(tokenizer, asking.words), promptOf: (judged) => promptOf(guardMessages(judged, asking)) };
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
