/** What a person says who approves or rejects a release, and why it may be refused. No imports: workflows check updates by it. */

export interface AskedDecision {
  by: string;
  why: string;
  /** Why it is released although not all criteria are met. */
  despite?: string;
}

/** A decision travels in payloads of at most 4096 bytes, beside the references of the release. */
export const longestReasonBytes = 800;
const longestName = 100;

/** @returns what is wrong with a decision, whoever sent it; empty = nothing */
export function decisionProblems(decision: unknown): string[] {
  if (typeof decision !== 'object' || decision === null || Array.isArray(decision))
    return ['write {"by": "who decides", "why": "the reason"}'];
  const { by, why, despite, ...others } = decision as Record<string, unknown>;
  return [
    ...[nameProblem(by)].flatMap((problem) => (problem ? [`"by" ${problem}`] : [])),
    ...reasonProblems('why', why),
    ...(despite === undefined ? [] : reasonProblems('despite', despite)),
    ...Object.keys(others).map((name) => `there is no "${name.slice(0, 40)}" in a decision`),
  ];
}

/** @returns what is wrong with the name of who asks or decides, to be said of the field that holds it; undefined = nothing */
export function nameProblem(by: unknown): string | undefined {
  if (typeof by !== 'string' || by.trim() === '' || by.length > longestName)
    return `must be a name of 1 to ${longestName} characters`;
  return /\p{C}/u.test(by) ? 'must be a name on one line, without control characters' : undefined;
}

function reasonProblems(field: string, value: unknown): string[] {
  if (typeof value !== 'string' || value.trim() === '') return [`"${field}" must be a text that says the reason`];
  // Halves of a character are no text either.
  if (/(?![\n\t])[\p{Cc}\p{Cs}]/u.test(value)) return [`"${field}" holds control characters: leave them out`];
  const bytes = bytesInJson(value);
  return bytes <= longestReasonBytes
    ? []
    : [
        `"${field}" has ${bytes} bytes, more than ${longestReasonBytes} (UTF-8; a quote, a backslash and a new line count two): shorten it`,
      ];
}

/** Bytes of a text in JSON and UTF-8, without its quotes. */
const bytesInJson = (text: string): number => new TextEncoder().encode(JSON.stringify(text)).length - 2;
