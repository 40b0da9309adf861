/** Rows of BeaverTails as published: `{ prompt, response, category: { 14 booleans }, is_safe }`. */
import { z } from 'zod';
import { describeIssues } from '../parseLines.ts';
import { beaverTailsCategories } from './categories.ts';

const flags = z.strictObject(Object.fromEntries(beaverTailsCategories.map((name) => [name, z.boolean()])));

/** Other columns are passed over. */
const rowSchema = z.object({
  prompt: z.string().trim().min(1, 'is empty'),
  response: z.string(),
  category: flags,
  is_safe: z.boolean(),
});

export interface BeaverTailsRow {
  prompt: string;
  category: Record<string, boolean>;
  is_safe: boolean;
}

/** @throws Error saying which field of the row is wrong; it quotes no text of it. */
export function parseRow(value: unknown): BeaverTailsRow {
  const parsed = rowSchema.safeParse(value);
  if (!parsed.success) throw new Error(describeIssues(parsed.error));
  const { prompt, category, is_safe } = parsed.data;
  return { prompt, category: category as Record<string, boolean>, is_safe };
}

/** A prompt whose answer was unsafe, with the categories of all its unsafe answers. */
export interface UnsafePrompt {
  prompt: string;
  category: Record<string, boolean>;
}

/** Prompts of unsafe rows, each once (in lower case, spaces as one), in the order of the rows. */
export function unsafePrompts(rows: Iterable<BeaverTailsRow>): UnsafePrompt[] {
  const found = new Map<string, UnsafePrompt>();
  for (const { prompt, category, is_safe } of rows) {
    if (is_safe) continue;
    const key = promptKey(prompt);
    const known = found.get(key);
    if (known) for (const name of beaverTailsCategories) known.category[name] ||= category[name]!;
    else found.set(key, { prompt, category: { ...category } });
  }
  return [...found.values()];
}

export const promptKey = (prompt: string): string => prompt.toLowerCase().replaceAll(/\s+/g, ' ').trim();
