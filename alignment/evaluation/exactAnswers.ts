/** Answers that can be checked against one right value: numbers (GSM8K), letters (MMLU), short texts (BIG-Bench Hard). */

/** A number as GSM8K writes it: sign, thousands, decimals. */
const number = /-?\$?\d[\d,]*(?:\.\d+)?|-?\$?\.\d+/g;

/**
 * The number that an answer gives: after the last `####`, as GSM8K's own answers have it, else the last number in the text. Undefined where there is none.
 * `strict` = only after `####`.
 */
export function extractNumber(answer: string, strict = false): number | undefined {
  const marked = /####\s*(.*)/g;
  const last = [...answer.matchAll(marked)].at(-1)?.[1];
  if (last !== undefined) {
    const [first] = last.match(number) ?? [];
    if (first !== undefined) return valueOf(first);
  }
  const found = strict ? undefined : answer.match(number)?.at(-1);
  return found === undefined ? undefined : valueOf(found);
}

const valueOf = (text: string): number => Number(text.replace(/[$,]/g, ''));

/** The right number of a GSM8K solution. @throws Error where it has none. */
export function goldNumber(solution: string): number {
  const value = extractNumber(solution, true);
  if (value === undefined) throw new Error('has no number after ####');
  return value;
}

/**
 * The letter that an answer chooses: "answer is (C)", "Answer: C", else one that opens the text, else the only one that stands alone in it. Undefined
 * where there is none or several.
 */
export function extractLetter(answer: string, letters = 'ABCD'): string | undefined {
  const one = `\\(?\\**([${letters}])\\**\\)?(?![\\p{L}\\p{N}'])`;
  const announced = [...answer.matchAll(new RegExp(`(?:answer|option|choice)\\s*(?:is|:)?\\s*:?\\s*${one}`, 'giu'))].at(
    -1,
  )?.[1];
  if (announced !== undefined) return announced.toUpperCase();
  const opening = new RegExp(`^\\s*${one}`, 'u').exec(answer)?.[1];
  // "A cat sat" opens with an article: a word may follow a letter only behind a mark.
  if (opening !== undefined && (opening !== 'A' || !/^\s*A\s+\p{Ll}/u.test(answer))) return opening;
  const alone = new Set([...answer.matchAll(new RegExp(`(?<![\\p{L}\\p{N}'])${one}`, 'gu'))].map((match) => match[1]!));
  alone.delete('A');
  return alone.size === 1 ? [...alone][0] : undefined;
}

/** Whether the answer, or what it says after "the answer is", is the target: compared without case, spaces, brackets and end marks. */
export function answersExactly(answer: string, target: string): boolean {
  const announced = [...answer.matchAll(/answer is:?\s*([^\n]+)/gi)].at(-1)?.[1];
  const candidates = [announced, answer.trim().split('\n').at(-1), answer].flatMap((text) => text ?? []);
  return candidates.some((candidate) => plain(candidate) === plain(target));
}

const plain = (text: string): string =>
  text
    .trim()
    .toLowerCase()
    .replace(/^["'“”(*\s]+|["'“”)*.\s]+$/g, '')
    .replace(/\s+/g, ' ');
