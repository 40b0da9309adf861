/** The release of a run's policy in words: for `cada status`, the end of `cada train`, and whoever is waited for. */
import type { JudgedCriterion } from '../alignment/governance/releaseCriteria.ts';
import { criterionCells } from '../alignment/report/releaseCard.ts';
import { escapeForTerminal } from '../infra/logging/escape.ts';
import type { ToldRelease } from './operate/release.ts';
import { plainTable } from './terminal.ts';

export function describeRelease({ status, criteria, decision, deadline, timedOut }: ToldRelease): string {
  const lines = [`release    ${status}`];
  if (status === 'awaiting approval' && deadline) lines[0] += timedOut ? ', time limit passed' : `, until ${deadline}`;
  if (decision) lines.push(`           ${decision.outcome} by ${decision.by}, ${decision.at}: ${decision.why}`);
  if (decision?.despite) lines.push(`           although not all criteria are met: ${decision.despite}`);
  return [lines.map((line) => escapeForTerminal(line.replaceAll('\n', ' '))).join('\n'), criteriaTable(criteria)]
    .filter((part) => part !== '')
    .join('\n');
}

function criteriaTable(criteria: readonly JudgedCriterion[]): string {
  if (criteria.length === 0) return '';
  return plainTable(['criterion', 'asked', 'value', ''], criteria.map(criterionCells));
}

/** What to type in another terminal while a run awaits approval. */
export function approvalHint(command: string, runId: string, cause: string | undefined, store?: string): string {
  const where = store ? ` --store ${store}` : '';
  const despite = cause?.includes('not met') ? ' --despite "the reason"' : '';
  return [
    `The run awaits approval${cause ? `: ${cause}` : ''}. In another terminal:`,
    `  ${command} report ${runId}${where}`,
    `  ${command} approve ${runId} --by NAME --why "the reason"${despite}${where}`,
    `  ${command} reject ${runId} --by NAME --why "the reason"${where}`,
  ].join('\n');
}
