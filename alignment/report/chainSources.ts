/** Who wrote the chains of the warm start, what it took, and what reviewers' marks changed, in sentences for the report; none where the policy wrote them itself and none was marked. */
import * as format from './format.ts';

/** @param figures of the warm start */
export function sourceLines(figures: Readonly<Record<string, number>>): string[] {
  const figure = (name: string): number => figures[name] ?? 0;
  const lines: string[] = [];
  if (figures['deliberation/rounds'] !== undefined) {
    const share = (name: string): string => format.number(figure(`deliberation/${name}`));
    lines.push(
      `The chains were deliberated, in at most ${figure('deliberation/rounds')} rounds of critique. Shares of them: ${share('with_intents')} with intents found, ${share('revised')} revised, ${share('agreed')} agreed to, ${share('refined')} refined.`,
    );
  }
  if (figures['teacher/asked'] !== undefined) {
    lines.push(
      `A teacher was asked ${figure('teacher/asked')} questions; ${figure('teacher/kept')} more were answered from the store, ${figure('teacher/unanswered')} were not answered. Mean latency ${format.duration(figure('teacher/mean_latency_ms') / 1000)}, cost ${format.number(figure('teacher/cost'), 4)} by its prices.`,
    );
  }
  if (figures['warm_start/marked_added'] !== undefined) {
    lines.push(
      `By marks of reviewers ${figure('warm_start/marked_added')} chains were added, ${figure('warm_start/marked_left_out')} left out that had passed the filters.`,
    );
  }
  return lines;
}
