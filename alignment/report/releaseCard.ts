/** What the exported folders say of the release: a section of README.md, and promoted.json. */
import { criterionName, type JudgedCriterion, type ReleaseVerdict } from '../governance/releaseCriteria.ts';
import * as format from './format.ts';
import { escapeMarkdown } from './markdown.ts';

export interface CardRelease {
  status: 'candidate' | 'promoted' | 'rejected' | 'not promoted';
  decision?: { outcome: string; by: string; why: string; despite?: string; at: string };
}

const meaning: Record<CardRelease['status'], string> = {
  candidate: 'a candidate: it awaits its release and is not promoted',
  promoted: 'promoted',
  rejected: 'rejected: it stays a candidate and must not be used as a released model',
  'not promoted': 'not promoted: it does not meet all criteria and stays a candidate',
};

/** Markdown, beginning with its heading. */
export function releaseSection({ status, decision }: CardRelease, { criteria }: ReleaseVerdict): string {
  return [
    '## Release',
    '',
    `* Status: **${status}**. This model is ${meaning[status]}.`,
    ...(decision
      ? [
          `* Decision: ${escapeMarkdown(decision.outcome)} by ${escapeMarkdown(decision.by)}, ${escapeMarkdown(decision.at)}: ${escapeMarkdown(decision.why)}`,
          ...(decision.despite ? [`* Although not all criteria are met: ${escapeMarkdown(decision.despite)}`] : []),
        ]
      : []),
    ...(criteria.length > 0
      ? [
          '',
          '| criterion | asked | value | met |',
          '| --- | --- | --- | --- |',
          ...criteria.map((one) => `| ${markdownCells(criterionCells(one)).join(' | ')} |`),
        ]
      : []),
    '',
  ].join('\n');
}

/** Its name and what was asked are words of the configuration; the rest is numbers and ours. */
const markdownCells = ([name, asked, ...measured]: readonly string[]): string[] => [
  escapeMarkdown(name!),
  escapeMarkdown(asked!),
  ...measured,
];

/** Criterion, what was asked, value with its interval, met or not: in words, for tables. */
export function criterionCells(criterion: JudgedCriterion): [string, string, string, string] {
  const { asked, value, interval, over, met } = criterion;
  const show = over ? format.signed : format.number;
  const measured = value === null ? 'not measured' : `${show(value)} ${format.interval(interval, show)}`.trim();
  return [criterionName(criterion), asked, measured, met ? 'met' : 'not met'];
}

/** What promoted.json says. It stands beside a model that was promoted, and beside no other. */
export function promotionMark(
  { runId, adapter, audit, decision }: CardRelease & { runId: string; adapter: string; audit: string | null },
  { met, criteria }: ReleaseVerdict,
) {
  return {
    runId,
    adapterSha256: adapter,
    criteriaMet: met,
    criteria: criteria.map(({ figure, over, asked, value, interval, met: one }) => ({
      ...{ figure, over, asked, value, interval, met: one },
    })),
    ...(decision ? { approval: decision } : { approval: null }),
    /** Head of the audit log when this was written. */
    auditHead: audit,
  };
}
