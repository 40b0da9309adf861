/** The refusal that a harmful request is learnt with where fine-tuning is on refusals alone (arm `sft-refusal`; paper, section 2). */
import type { Case, SafetyRequest } from '../library/library.ts';

/**
 * @param fixed the same text for every request; absent = the response of the first harmful case of the request's category, or of the library where the
 *   category has none.
 * @throws Error when the library has no harmful case.
 */
export function writtenRefusal(
  cases: readonly Pick<Case, 'category' | 'label' | 'response'>[],
  request: Pick<SafetyRequest, 'category'>,
  fixed?: string,
): string {
  if (fixed !== undefined) return fixed;
  const harmful = cases.filter(({ label }) => label === 'harmful');
  const chosen = harmful.find(({ category }) => category === request.category) ?? harmful[0];
  if (!chosen) throw new Error('cases/cases.jsonl has no harmful case to take a refusal from: set warmStart.refusal');
  return chosen.response;
}
