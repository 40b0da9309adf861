/** The dialogue that a question becomes in an inference arm. */
import type { SuiteQuestion } from '../benchmarks/suites.ts';
import { sampleCases } from '../cases/sampleCases.ts';
import type { TextVectors } from '../cases/similarity.ts';
import type { ChainFormat } from '../chains/chain.ts';
import type { Case, Library } from '../library/library.ts';
import { guidedPrompt, type ChatMessage, type Prompt } from '../prompts/guidedPrompt.ts';
import { uniformStream } from '../randomness/seededRandom.ts';
import { hazardOf } from './hazards.ts';
import { isBare, type InferenceArm } from './inferenceArm.ts';

export interface ArmPrompt extends Prompt {
  caseIds: string[];
}

type GuidanceTexts = Pick<Library, 'codes' | 'cases'>;

/**
 * Codes, instruction, format examples and cases, then the question's own dialogue. The same question has the same cases under every attack and in every arm with as many,
 * and those of fewer are among those of more.
 *
 * @param vectors of the questions' goals and of the cases: needed where the arm chooses or orders by embeddings
 * @throws Error where the library has too few pairs of cases, or a vector is missing.
 */
export function armPrompt(
  question: SuiteQuestion,
  arm: InferenceArm,
  library: GuidanceTexts,
  headings: ChainFormat,
  seed: string,
  vectors?: TextVectors,
): ArmPrompt {
  const dialogue: ChatMessage[] = question.messages ?? [{ role: 'user', content: question.prompt }];
  if (isBare(arm)) return { messages: dialogue, sharedMessages: 0, caseIds: [] };
  const hazard = hazardOf(question.category, library.codes.detailed);
  const cases = casesFor(question, hazard, arm, library, seed, vectors);
  const { messages, sharedMessages } = guidedPrompt(
    { request: dialogue[0]!.content, category: hazard },
    cases,
    codesOf(arm, hazard, library.codes),
    {
      codes: arm.codes === 'own' ? 'detailed' : arm.codes,
      ...{ layout: arm.layout, headings, formatExamples: arm.formatExamples },
    },
  );
  return { messages: [...messages, ...dialogue.slice(1)], sharedMessages, caseIds: cases.map(({ id }) => id) };
}

/** Detailed codes are chosen by their category: without one they hold for every request. */
function codesOf({ codes }: InferenceArm, hazard: string, all: Library['codes']): Library['codes'] {
  const ofOne = codes === 'own' && all.detailed.some(({ category }) => category === hazard);
  if (ofOne) return all;
  return { ...all, detailed: all.detailed.map(({ category: _category, ...text }) => text) };
}

function casesFor(
  { id, goal }: SuiteQuestion,
  hazard: string,
  { cases: count, sampling, similarity, order }: InferenceArm,
  library: GuidanceTexts,
  seed: string,
  vectors: TextVectors | undefined,
): Case[] {
  if (count === 0) return [];
  const request = { id: id.split('@')[0]!, category: hazard, request: goal };
  const choose = (even: number): Case[] =>
    sampleCases(library, request, { count: even, sampling, similarity, order }, `${seed}/arm`, vectors);
  const chosen = choose(count + (count % 2));
  if (count % 2 === 0) return chosen;
  // One of the pair that fewer cases would not have: either kind for half of the questions.
  const fewer = new Set(choose(count - 1).map(({ pair }) => pair));
  const left = uniformStream(`${seed}/arm/odd/${request.id}`)() < 0.5 ? 'harmless' : 'harmful';
  return chosen.filter(({ pair, label }) => fewer.has(pair) || label !== left);
}
