/** Why a hypothesis was decided, or was not, and how many questions would decide it: plain words for page and tables. */
import { foundStandardErrors } from '../evaluation/normalQuantiles.ts';
import { signed } from '../report/format.ts';
import { decisiveP, type HypothesisPart } from './hypothesisSchema.ts';
import { rounding } from './resampling.ts';
import { boundOf, type Measured, type Verdict } from './verdicts.ts';

export function reasonOf(part: HypothesisPart, found: Measured, pHolm: number, verdict: Verdict): string {
  const { interval, sense, p } = found;
  // In the figure's own sign.
  const bound = sense * boundOf(part);
  const at = bound === 0 ? '0' : signed(bound);
  const [low, high] = interval;
  const side = low > bound + rounding ? 'above' : high < bound - rounding ? 'below' : undefined;
  if (verdict !== 'undecided') {
    const size = part.margin !== undefined && part.direction !== 'no-worse' ? ', by the margin or more' : '';
    return `the interval lies ${side} ${at}${verdict === 'supported' ? size : ''}`;
  }
  if (side === undefined) return `the interval includes ${at}${moreQuestionsNote(part, found)}`;
  if (pHolm >= decisiveP) {
    const adjusted = p < decisiveP ? ' after adjustment for all comparisons' : '';
    return `the interval lies ${side} ${at}, but p is ${pHolm.toFixed(3)}${adjusted}${moreQuestionsNote(part, found)}`;
  }
  return `the interval lies ${side} ${at}, but the difference is smaller than the margin of ${part.margin}`;
}

/** Where more questions than there are would tell a difference of the size that was seen, alone, four times in five. */
function moreQuestionsNote(part: HypothesisPart, found: Measured): string {
  const needed = questionsNeeded(part, found);
  if (needed === undefined) return found.effect === 0 ? '; no difference was seen' : '';
  return needed > found.n ? `; needs about ${rounded(needed)} questions for a difference of that size` : '';
}

export function questionsNeeded(part: HypothesisPart, { effect, differences, sense, n }: Measured): number | undefined {
  const distance = Math.abs(sense * effect - boundOf(part));
  const variance =
    n < 2 ? 0 : differences.reduce((sum, one) => sum + (one - effect) ** 2, 0) / (differences.length - 1);
  if (distance <= rounding) return undefined;
  // Where none differs: so many that a loss of the margin would have shown in one of them.
  if (variance <= rounding)
    return part.direction === 'no-worse' ? Math.log(decisiveP / 2) / Math.log(1 - part.margin!) : undefined;
  return (foundStandardErrors ** 2 * variance) / distance ** 2;
}

/** To two digits, upwards: it is an estimate. */
function rounded(questions: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(questions)) - 1);
  return Math.ceil(questions / unit) * unit;
}
