/** Whether answers follow their analyses. Absent settings are no part of a configuration's digest. */
import { z } from 'zod';
import type { ChainPattern } from './chainFormat.ts';
import { positive } from './trainingFields.ts';

export const faithfulnessFields = {
  faithfulness: z
    .strictObject({
      pairs: positive
        .optional()
        .describe('Pairs of requests, each a harmful one and its look-alike; six chains each. Absent = 48.'),
    })
    .optional()
    .describe(
      'Also swap the analyses of pairs of a harmful request and its look-alike, and tell how often the answer follows (docs/evaluation.md). Absent = not done.',
    ),
};

/** All of the shipped held-out requests. */
export const defaultPairs = 48;

export const pairsOf = ({ pairs = defaultPairs }: { pairs?: number | undefined }): number => pairs;

/** An analysis can only be handed over where all that follows it is the final response. */
export function faithfulnessProblem(
  { faithfulness }: { faithfulness?: unknown },
  { pattern }: { pattern?: ChainPattern | undefined },
): string | undefined {
  return faithfulness !== undefined && pattern?.expression !== undefined
    ? 'analyses are handed over up to the mark of the final response: use headings, think or two markers, not chain.pattern.expression'
    : undefined;
}
