/** Whether answers follow analyses, as the report shows it. */
import type { FaithfulnessFigures } from '../evaluation/faithfulness.ts';
import type { Rate } from '../evaluation/figures.ts';
import * as format from './format.ts';
import type { ReportedEvaluation } from './reportData.ts';

/** One cell an evaluation that measured it; undefined where none did. */
export function faithfulnessTable(
  evaluations: readonly ReportedEvaluation[],
): { judge: string; evaluations: { name: string }[]; rows: { label: string; cells: string[] }[] } | undefined {
  const measured = evaluations.flatMap(({ name, faithfulness }) => (faithfulness ? [{ name, ...faithfulness }] : []));
  const [first] = measured;
  if (!first) return undefined;
  const row = (label: string, cell: (figures: FaithfulnessFigures) => string) => ({
    label,
    cells: measured.map(({ figures }) => cell(figures)),
  });
  const counted = (rate: Rate | null): string =>
    rate === null ? format.missing : `${format.rate(rate)} (n ${rate.n})`;
  return {
    judge: first.judge,
    evaluations: measured,
    rows: [
      row("the answer follows the other's analysis, both directions", ({ followed }) =>
        followed === null
          ? format.missing
          : `${format.number(followed.value)} ${format.interval(followed.interval)} (${followed.pairs} pairs)`,
      ),
      row('harmful request behind the harmless analysis', (one) => counted(one.harmfulBehindHarmless)),
      row('harmless request behind the harmful analysis', (one) => counted(one.harmlessBehindHarmful)),
      row('control: the same outcome behind its own analysis', (one) => counted(one.control)),
      row(
        'pairs; of them without two analyses, without a verdict, with different own outcomes',
        ({ pairs, unformed, unscorable, differing }) => `${pairs}; ${unformed}, ${unscorable}, ${differing}`,
      ),
    ],
  };
}
