/** The dialogue that a question becomes in an inference arm. */
import type { SuiteQuestion } from '../benchmarks/suites.ts';
import { sampleCases } from '../cases/sampleCases.ts';
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
 * Codes, instruction and cases, then the question's own dialogue. The same question has the same cases under every attack and in every arm with as many,
 * and those of fewer are among those of more.
 *
 * @throws Error where the library has too few pairs of cases.
 */
export function armPrompt(
  question: SuiteQuestion,
  arm: InferenceArm,
  library: GuidanceTexts,
  headings: ChainFormat,
  seed: string,
): ArmPrompt {
  const dialogue: ChatMessage[] = question.messages ?? [{ role: 'user', content: question.prompt }];
  if (isBare(arm)) return { messages: dialogue, sharedMessages: 0, caseIds: [] };
  const hazard = hazardOf(question.category);
  const cases = casesFor(question, hazard, arm, library, seed);
  const { messages, sharedMessages } = guidedPrompt(
    { request: dialogue[0]!.content, category: hazard },
    cases,
    codesOf(arm, hazard, library.codes),
    { codes: arm.codes === 'own' ? 'detailed' : arm.codes, layout: arm.layout, headings },
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
  { cases: count, sampling }: InferenceArm,
  library: GuidanceTexts,
  seed: string,
): Case[] {
  if (count === 0) return [];
  const request = { id: id.split('@')[0]!, category: hazard, request: goal };
  const chosen = sampleCases(library, request, { count: count + (count % 2), sampling }, `${seed}/arm`);
  if (count % 2 === 0) return chosen;
  // One of the last pair: either kind for half of the questions.
  const [harmful, harmless] = chosen.slice(-2);
  const either = uniformStream(`${seed}/arm/odd/${request.id}`)() < 0.5 ? harmful! : harmless!;
  return [...chosen.slice(0, -2), either];
}
