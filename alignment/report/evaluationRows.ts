/** Figures of evaluations as rows: one a measure and kind of request, one cell an evaluation. The report and the safety report show the same ones. */
import { exposedKinds, exposures } from '../evaluation/exposure.ts';
import type { Rate } from '../evaluation/figures.ts';
import { meanLoss } from '../evaluation/utility.ts';
import { requestKinds, type RequestKind } from '../library/library.ts';
import * as format from './format.ts';
import type { ReportedEvaluation } from './reportData.ts';

/** What a figure is measured by: the library's rules, the published phrases, a guard model, a rubric judge, the form of the chain, rewards, the base model. */
export type MeasuredBy = 'rules' | 'phrases' | 'guard' | 'rubric' | 'form' | 'rewards' | 'base model';

export interface EvaluationRow {
  label: string;
  n: number;
  cells: string[];
  by: MeasuredBy;
  /** Of a share: the cells as numbers. */
  rates?: (Rate | null)[];
}

/** One row a measure and kind, one cell an evaluation. */
export function evaluationRows(evaluations: readonly ReportedEvaluation[]): EvaluationRow[] {
  const kindName: Record<RequestKind, string> = {
    harmful: 'harmful requests',
    plain: 'plain harmless requests',
    'look-alike': 'look-alike harmless requests',
  };
  const rows: EvaluationRow[] = [];
  const add = (label: string, n: number, by: MeasuredBy, cell: (evaluation: ReportedEvaluation) => string): void => {
    if (n > 0) rows.push({ label, n, cells: evaluations.map(cell), by });
  };
  const addShare = (
    label: string,
    n: number,
    by: MeasuredBy,
    rateOf: (evaluation: ReportedEvaluation) => Rate | null,
  ) => {
    const rates = evaluations.map(rateOf);
    if (n > 0) rows.push({ label, n, cells: rates.map(format.rate), by, rates });
  };
  const first = evaluations[0];
  if (!first) return rows;
  for (const kind of requestKinds) {
    addShare(
      `refuses ${kindName[kind]}`,
      first.figures.byKind[kind].n,
      'rules',
      (one) => one.figures.byKind[kind].refusal,
    );
  }
  for (const kind of requestKinds) {
    addShare(
      `the same, by the published phrase list: ${kindName[kind]}`,
      first.figures.byKind[kind].n,
      'phrases',
      (one) => one.figures.byKind[kind].phraseRefusal,
    );
  }
  const harmful = first.figures.byKind.harmful.n;
  addShare(
    'harmful answered by a refusal phrase plus content',
    harmful,
    'rules',
    (one) => one.figures.byKind.harmful.refusalWithContent,
  );
  for (const kind of requestKinds) {
    const guarded = first.figures.byKind[kind].harmByGuard;
    addShare(
      `unsafe by the guard model: ${kindName[kind]}`,
      guarded?.n ?? 0,
      'guard',
      (one) => one.figures.byKind[kind].harmByGuard ?? null,
    );
  }
  addShare('both parts present', first.figures.all.n, 'form', (one) => one.figures.all.format);
  addShare('cut by the token limit', first.figures.all.n, 'form', (one) => one.figures.all.cut);
  addShare('unusable final response', first.figures.all.n, 'rules', (one) => one.figures.all.unusable);
  add('mean tokens', first.figures.all.n, 'form', (one) => format.number(one.figures.all.meanTokens, 1));
  add('mean reward', first.figures.all.n, 'rewards', (one) => format.number(one.figures.all.meanReward));
  const refused = Math.max(...evaluations.map((one) => one.figures.byKind.harmful.leak?.n ?? 0));
  addShare(
    'refusals of harmful requests whose analysis gives what they withhold',
    refused,
    'rules',
    (one) => one.figures.byKind.harmful.leak ?? null,
  );
  if (evaluations.some((one) => one.figures.byKind.harmful.leakScore))
    add('mean score of their analyses by the rubric judge', refused, 'rubric', (one) => {
      const { leakScore } = one.figures.byKind.harmful;
      return leakScore ? `${format.number(leakScore.value)} ${format.interval(leakScore.interval)}` : format.missing;
    });
  add("loss on the base model's own harmless answers, nats a token", first.losses?.length ?? 0, 'base model', (one) =>
    format.number(meanLoss(one.losses ?? []), 3),
  );
  return rows;
}

/** Refusals on each public benchmark, one cell an evaluation. */
export function benchmarkRows(evaluations: readonly ReportedEvaluation[]): EvaluationRow[] {
  return (evaluations[0]?.benchmarks ?? []).flatMap(({ name, figures }) =>
    requestKinds.flatMap((kind) => {
      const { n } = figures.byKind[kind];
      if (n === 0) return [];
      const rates = evaluations.map((one) => {
        const same = one.benchmarks?.find((benchmark) => benchmark.name === name);
        return same?.figures.byKind[kind].refusal ?? null;
      });
      const label = `${name}: refuses ${kind === 'harmful' ? 'harmful' : 'harmless look-alike'} requests`;
      return [{ label, n, cells: rates.map(format.rate), by: 'rules' as const, rates }];
    }),
  );
}

/** Refusals of requests about hazards that were withheld and about the others, one cell an evaluation. */
export function exposureRows(evaluations: readonly ReportedEvaluation[]): EvaluationRow[] {
  const first = evaluations[0]?.byExposure;
  if (!first) return [];
  return exposedKinds.flatMap((kind) =>
    exposures.map((exposure) => {
      const rates = evaluations.map(({ byExposure }) => byExposure?.[exposure].byKind[kind].refusal ?? null);
      return {
        label: `refuses ${kind === 'harmful' ? kind : 'look-alike harmless'} requests, ${exposure} hazards`,
        n: first[exposure].byKind[kind].n,
        cells: rates.map(format.rate),
        ...{ by: 'rules' as const, rates },
      };
    }),
  );
}
