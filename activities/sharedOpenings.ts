/** Texts that many questions of a benchmark open with, its worked examples: found in the plan, so that a shard computes them once. */
import type { GenerationItem } from './plans.ts';

/** Characters below which an opening is not worth a prefix of its own. */
const SHORTEST = 400;

/**
 * Items below which it is not either: few rows decode behind it at once, and that takes what is saved. Measured on SmolLM2-135M, 16 questions a shard: of GSM8K, all
 * behind one opening, .57 of the time; of MMLU with four questions a subject 1.1.
 */
export const FEWEST = 16;

/**
 * Marks neighbouring items whose own message opens alike, up to the end of a paragraph. It depends on the plan alone, not on how that is cut into shards: so do the bits
 * of what is generated.
 */
export function withSharedOpenings(items: readonly GenerationItem[]): GenerationItem[] {
  return clusters(items).flatMap((cluster) => {
    const opening = wholeParagraphs(cluster.map(ownText).reduce(commonOpening));
    return cluster.length < FEWEST || opening < SHORTEST ? cluster : cluster.map((item) => ({ ...item, opening }));
  });
}

/** Runs of items with the same messages before their own, and enough of that in common with the one before. */
function clusters(items: readonly GenerationItem[]): GenerationItem[][] {
  const found: GenerationItem[][] = [];
  for (const item of items) {
    const last = found.at(-1);
    if (last && opensAlike(last.at(-1)!, item)) last.push(item);
    else found.push([item]);
  }
  return found;
}

function opensAlike(one: GenerationItem, other: GenerationItem): boolean {
  const before = ({ messages, sharedMessages }: GenerationItem): string =>
    JSON.stringify(messages.slice(0, sharedMessages));
  return wholeParagraphs(commonOpening(ownText(one), ownText(other))) >= SHORTEST && before(one) === before(other);
}

const ownText = ({ messages, sharedMessages }: GenerationItem): string => messages[sharedMessages]?.content ?? '';

function commonOpening(one: string, other: string): string {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return one.slice(0, length);
}

/** Length of the paragraphs, with the empty line that ends the last: a token seldom reaches over that. */
const wholeParagraphs = (text: string): number => text.lastIndexOf('\n\n') + 2;
