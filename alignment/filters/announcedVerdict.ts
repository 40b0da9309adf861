/** What an analysis says it will do, so that a chain whose answer does the contrary can be left out of the warm start. */

const declines =
  /\b(declin\w*|refus\w*|(?:will|can|should|must) ?not (?:help|answer|assist)|won't (?:help|answer|assist))\b/giu;
const answers = /\b(?:will|can|should|shall|(?:am )?happy to|glad to) (?:gladly )?(?:answer|help|assist)\b/giu;

/** The judgement that the shipped cases state before the decision ("This is harmful under code 2"). */
const judgement =
  /\bthis is (?:(safe|legal|lawful|harmless|fine)|(harmful|dangerous|illegal|unsafe|not safe|hateful))\b/iu;

/**
 * 'refuse' or 'comply' by the last decision that the analysis states in words ("so I will decline", "I will answer"); where it states none, by its
 * judgement ("This is safe ..."); undefined where it has neither. English only, like the cases that ship.
 */
export function announcedVerdict(analysis: string): 'refuse' | 'comply' | undefined {
  const lastAt = (pattern: RegExp): number => [...analysis.matchAll(pattern)].at(-1)?.index ?? -1;
  const [refusal, answer] = [lastAt(declines), lastAt(answers)];
  if (refusal !== answer) return refusal > answer ? 'refuse' : 'comply';
  const [, safe, harmful] = judgement.exec(analysis) ?? [];
  if (safe) return 'comply';
  return harmful ? 'refuse' : undefined;
}
