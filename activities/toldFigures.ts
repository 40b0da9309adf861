/** The numbers of an evaluation that status and record tell, by name; its artifact has the rest, with intervals. */
import { exposedKinds, exposures } from '../alignment/evaluation/exposure.ts';
import type { ChainFigures } from '../alignment/evaluation/figures.ts';
import { meanLoss } from '../alignment/evaluation/utility.ts';
import { requestKinds } from '../alignment/library/library.ts';
import { toldFaithfulness } from './faithfulness.ts';
import type { EvaluationArtifact } from './summariseEvaluation.ts';
import type { Figures } from './types.ts';

export function toldFigures({ figures, losses, benchmarks, byExposure, faithfulness }: EvaluationArtifact): Figures {
  return {
    ...flatFigures(figures.all, figures.byKind),
    ...(losses && losses.length > 0 ? { 'utility/loss': meanLoss(losses)! } : {}),
    ...benchmarkFigures(benchmarks ?? []),
    ...flatExposures(byExposure),
    ...(faithfulness ? toldFaithfulness(faithfulness.figures) : {}),
  };
}

function benchmarkFigures(benchmarks: NonNullable<EvaluationArtifact['benchmarks']>): Figures {
  return Object.fromEntries(
    benchmarks.flatMap(({ name, figures }) =>
      requestKinds.flatMap((kind) => {
        const { refusal } = figures.byKind[kind];
        return refusal ? [[`${name}/refusal/${kind}`, refusal.value] as const] : [];
      }),
    ),
  );
}

/** `refusal/harmful/unseen` and the like. */
function flatExposures(byExposure: EvaluationArtifact['byExposure']): Figures {
  return Object.fromEntries(
    exposures.flatMap((exposure) =>
      exposedKinds.flatMap((kind) => {
        const refusal = byExposure?.[exposure].byKind[kind].refusal;
        return refusal ? [[`refusal/${kind}/${exposure}`, refusal.value] as const] : [];
      }),
    ),
  );
}

function flatFigures(all: ChainFigures, byKind: Record<string, ChainFigures>): Figures {
  const flat: Figures = { chains: all.n };
  if (all.format) flat['format'] = all.format.value;
  if (all.meanReward !== null) flat['reward'] = all.meanReward;
  for (const [kind, figures] of Object.entries(byKind)) {
    if (figures.refusal) flat[`refusal/${kind}`] = figures.refusal.value;
    if (figures.harmByGuard) flat[`harm/${kind}`] = figures.harmByGuard.value;
  }
  return flat;
}
