/** What a person says who approves or rejects a release, and why it may be refused. No imports: workflows check updates by it. */

export interface AskedDecision {
  by: string;
  why: string;
  /** Why it is released although not all criteria are met. */
  despite?: string;
}

export const longestReason = 400;
const longestName = 100;

/** @returns what is wrong with a decision, whoever sent it; empty = nothing */
export function decisionProblems(decision: unknown): string[] {
  if (typeof decision !== 'object' || decision === null || Array.isArray(decision))
    return ['write {"by": "who decides", "why": "the reason"}'];
  const { by, why, despite, ...others } = decision as Record<string, unknown>;
  const problem = (name: string, value: unknown, most: number): string[] =>
    typeof value === 'string' && value.trim() !== '' && value.length <= most
      ? []
      : [`"${name}" must be a text of 1 to ${most} characters`];
  return [
    ...problem('by', by, longestName),
    ...problem('why', why, longestReason),
    ...(despite === undefined ? [] : problem('despite', despite, longestReason)),
    ...Object.keys(others).map((name) => `there is no "${name.slice(0, 40)}" in a decision`),
  ];
}
