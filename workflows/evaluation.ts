/** Figures of a policy on held-out requests, raw prompt, greedy: the stages that a full evaluation and an iteration's probe share. */
import { generateAndReward } from './generation.ts';
import { control } from './stages.ts';
import type { ArtifactRef, Figures, PolicyState, RunContext, RunProgress } from '../activities/types.ts';

export interface EvaluationOutcome {
  evaluation: ArtifactRef;
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
): Promise<EvaluationOutcome> {
  const plan = await control.selectRequests.executeWithOptions({ summary: `${label}: choose requests` }, [
    run,
    { kind: 'evaluation', ...evaluation },
  ]);
  const rewarded = await generateAndReward(run, label, plan, policy, progress);
  const summary = await control.summariseEvaluation.executeWithOptions({ summary: `${label}: figures` }, [
    run,
    { name: evaluation.name, chains: rewarded.chains, rewards: rewarded.rewards },
  ]);
  return {
    evaluation: summary.artifact,
    figures: summary.figures,
    seconds: rewarded.seconds,
    peakMemoryBytes: rewarded.peakMemoryBytes,
  };
}
