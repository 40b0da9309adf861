/** A study's hypotheses as a table: a row each, and of a claim of several parts one more for each of them. */
import * as format from '../report/format.ts';
import type { TestedPart } from './hypotheses.ts';
import { decisiveP } from './hypothesisSchema.ts';
import type { StudyResult } from './studyResult.ts';

export interface HypothesisTable {
  head: string[];
  rows: string[][];
}

/** Undefined where the study claims nothing. */
export function hypothesisTable({ hypotheses, models }: StudyResult): HypothesisTable | undefined {
  if (!hypotheses) return undefined;
  const several = models.length > 1;
  const rows = hypotheses.flatMap(({ claim, model, verdict, parts }) => {
    const [first, ...more] = parts;
    if (more.length === 0) return [[claim, verdict, ...(several ? [model] : []), ...partCells(first!)]];
    const whole = `${parts.filter((part) => part.verdict === 'supported').length} of ${parts.length} parts supported`;
    return [
      [claim, verdict, ...(several ? [model] : []), '', '', '', '', whole],
      ...parts.map((part) => ['', part.verdict, ...(several ? [''] : []), ...partCells(part)]),
    ];
  });
  return {
    head: ['claim', 'verdict', ...(several ? ['model'] : []), 'claimed', 'difference', 'n', 'p (Holm)', 'why'],
    rows,
  };
}

function partCells(part: TestedPart): string[] {
  const { effect, interval, n, pHolm, reason } = part;
  return [
    claimedOf(part),
    effect === null ? format.missing : `${format.signed(effect)} ${format.interval(interval, format.signed)}`,
    ...[String(n), pHolm === null ? format.missing : format.pValue(pHolm), reason],
  ];
}

/** `harmlessness: cada higher than none by 0.05` */
function claimedOf({ figure, arm, against, direction, margin }: TestedPart): string {
  const relation = { higher: 'higher than', lower: 'lower than', changes: 'differs from', 'no-worse': 'no worse than' };
  const size = margin === undefined ? '' : direction === 'no-worse' ? ` (margin ${margin})` : ` by ${margin}`;
  return `${figure}: ${arm} ${relation[direction]} ${against}${size}`;
}

/** The rule of the verdicts, for the notes below the tables. */
export const hypothesisRule =
  `Hypotheses: differences are of the first arm named less the second, over the same questions. Supported: the 95 % interval lies wholly above 0 in the sense claimed ` +
  `(no-worse: above minus the margin, in the sense in which the figure is good), p after Holm's adjustment over all comparisons of the hypotheses is below ${decisiveP}, and the difference is at least the margin, where there is one. ` +
  `Contradicted: it lies wholly on the other side, with p as low. Undecided otherwise. Of several parts: supported if each is, contradicted if any is. Numbers of questions needed: for a power of 80 % at 5 %, before adjustment.`;

/** `3 supported, 1 contradicted, 2 undecided` */
export function verdictCounts({ hypotheses = [] }: StudyResult): string {
  return (['supported', 'contradicted', 'undecided'] as const)
    .map((verdict) => `${hypotheses.filter((one) => one.verdict === verdict).length} ${verdict}`)
    .join(', ');
}
