/** IFEval's accuracies (Zhou et al. 2023, arXiv:2311.07911): of prompts and of instructions, strict and loose. */
import { instructionChecks, type InstructionArguments } from './checks.ts';

export interface Instruction {
  id: string;
  arguments: InstructionArguments;
}

/** Which instructions a response follows, in their order. */
export interface FollowedInstructions {
  strict: boolean[];
  loose: boolean[];
}

/**
 * Strict: the response as it is. Loose: any of the response, without its first line, without its last, without both, each also without asterisks. An empty
 * text follows nothing.
 * @throws Error naming an instruction that is not known.
 */
export function followedInstructions(response: string, instructions: readonly Instruction[]): FollowedInstructions {
  const variants = looseVariants(response);
  const follows = (text: string, { id, arguments: given }: Instruction): boolean => {
    const check = instructionChecks[id];
    if (!check) throw new Error(`IFEval's instruction "${id}" is not known`);
    return text.trim() !== '' && check(text, given);
  };
  return {
    strict: instructions.map((instruction) => follows(response, instruction)),
    loose: instructions.map((instruction) => variants.some((text) => follows(text, instruction))),
  };
}

function looseVariants(response: string): string[] {
  const lines = response.split('\n');
  const cut = [
    response,
    lines.slice(1).join('\n').trim(),
    lines.slice(0, -1).join('\n').trim(),
    lines.slice(1, -1).join('\n').trim(),
  ];
  return [...cut, ...cut.map((text) => text.replaceAll('*', ''))];
}

/** Shares that the literature reports, as counts. */
export interface InstructionCounts {
  prompts: number;
  instructions: number;
  strictPrompts: number;
  strictInstructions: number;
  loosePrompts: number;
  looseInstructions: number;
}

export function countFollowed(answers: readonly FollowedInstructions[]): InstructionCounts {
  const sum = (count: (answer: FollowedInstructions) => number): number =>
    answers.reduce((total, answer) => total + count(answer), 0);
  const holding = (list: readonly boolean[]): number => list.filter(Boolean).length;
  return {
    prompts: answers.length,
    instructions: sum(({ strict }) => strict.length),
    strictPrompts: sum(({ strict }) => Number(strict.every(Boolean))),
    strictInstructions: sum(({ strict }) => holding(strict)),
    loosePrompts: sum(({ loose }) => Number(loose.every(Boolean))),
    looseInstructions: sum(({ loose }) => holding(loose)),
  };
}
