/** Rows with the columns of BeaverTails and harmless words, written by hand: the dataset itself is not ours to ship. */
import { beaverTailsCategories } from '../../alignment/library/beaverTails/categories.ts';

export interface PublishedRow {
  prompt: string;
  response: string;
  category: Record<string, boolean>;
  is_safe: boolean;
}

/** Unsafe in these categories; safe without any. */
export function beaverTailsRow(prompt: string, ...categories: string[]): PublishedRow {
  const category = Object.fromEntries(beaverTailsCategories.map((name) => [name, categories.includes(name)]));
  return { prompt, response: 'Certainly.', category, is_safe: categories.length === 0 };
}
