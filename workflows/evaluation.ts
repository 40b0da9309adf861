/** Figures of a policy on held-out requests, raw prompt, greedy: the stages that a full evaluation and an iteration's probe share. */
import { measureFaithfulness } from './faithfulness.ts';
import { generateAndReward } from './generation.ts';
import { control, gpu } from './stages.ts';
import type { ArtifactRef, Figures, PolicyState, RunContext, RunProgress } from '../activities/types.ts';

export interface EvaluationOutcome {
  evaluation: ArtifactRef;
  chains: ArtifactRef;
  figures: Figures;
  seconds: Figures;
  peakMemoryBytes: number;
}

export async function evaluate(
  run: RunContext,
  label: string,
  evaluation: { name: string; set: 'full' | 'probe' },
  policy: PolicyState,
  progress: RunProgress,
  /** The untouched model's chains, for a full evaluation's loss on them; absent = those of this evaluation. */
  answers?: ArtifactRef,
): Promise<EvaluationOutcome> {
  const plan = await control.selectRequests.executeWithOptions({ summary: `${label}: choose requests` }, [
    run,
    { kind: 'evaluation', ...evaluation },
  ]);
  const rewarded = await generateAndReward(run, label, plan, policy, progress);
  const utility =
    evaluation.set === 'full'
      ? await gpu.measureUtility.executeWithOptions({ summary: `${label}: loss on the base model's answers` }, [
          run,
          { answers: answers ?? rewarded.chains, policy },
        ])
      : undefined;
  const faithfulness = plan.faithfulness ? await measureFaithfulness(run, label, policy, progress) : undefined;
  const summary = await control.summariseEvaluation.executeWithOptions({ summary: `${label}: figures` }, [
    run,
    {
      name: evaluation.name,
      chains: rewarded.chains,
      rewards: rewarded.rewards,
      ...(utility ? { losses: utility.losses } : {}),
      ...(faithfulness ? { faithfulness: faithfulness.artifact } : {}),
      ...judgeUse(rewarded.figures),
    },
  ]);
  return {
    evaluation: summary.artifact,
    chains: rewarded.chains,
    figures: summary.figures,
    seconds: { ...rewarded.seconds, ...(faithfulness ? { faithfulness: faithfulness.seconds } : {}) },
    peakMemoryBytes: Math.max(
      rewarded.peakMemoryBytes,
      utility?.peakMemoryBytes ?? 0,
      faithfulness?.peakMemoryBytes ?? 0,
    ),
  };
}

/** What a judge behind an endpoint was asked, where one was: kept with the evaluation, for the run's record travels with every save. */
function judgeUse(figures: Figures): { judge?: Figures } {
  const judge = Object.fromEntries(Object.entries(figures).filter(([name]) => name.startsWith('judge/')));
  return Object.keys(judge).length > 0 ? { judge } : {};
}
