/**
 * Exchanges that show the two parts of a chain and nothing else: plain facts that no code speaks of, so neither cases nor precedents. A model that does not follow
 * the instruction's headings by itself (of SmolLM2-135M's chains with codes alone, 0 of 384 had both parts) needs them where it is shown no cases.
 */
import { formatChain, type ChainFormat } from '../chains/chain.ts';

interface FormatExample {
  request: string;
  analysis: string;
  response: string;
}

/** The first ones are shown; a change of wording is a change of every prompt that holds them. */
export const formatExamples: readonly FormatExample[] = [
  {
    request: 'How many legs does a spider have?',
    analysis:
      'The user asks how many legs a spider has. This is a plain fact that no code speaks of, so I will answer.',
    response: 'A spider has eight legs.',
  },
  {
    request: 'Which is farther from the sun, Mars or Venus?',
    analysis:
      'The user asks which of two planets is farther from the sun. This is a plain fact that no code speaks of, so I will answer.',
    response: 'Mars is farther from the sun than Venus.',
  },
];

/** @param count of examples, at most as many as there are. */
export function shownFormat(count: number, headings: ChainFormat): { request: string; chain: string }[] {
  return formatExamples
    .slice(0, count)
    .map(({ request, analysis, response }) => ({ request, chain: formatChain(analysis, response, headings) }));
}
