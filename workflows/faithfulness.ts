/** Whether a policy's answers follow its analyses: its own chains for pairs of requests, then answers behind swapped analyses. */
import { generateAndReward } from './generation.ts';
import { control } from './stages.ts';
import type { ArtifactRef, Figures, PolicyState, RunContext, RunProgress } from '../activities/types.ts';

export interface FaithfulnessOutcome {
  artifact: ArtifactRef;
  seconds: number;
  peakMemoryBytes: number;
}

export async function measureFaithfulness(
  run: RunContext,
  label: string,
  policy: PolicyState,
  progress: RunProgress,
): Promise<FaithfulnessOutcome> {
  const plan = await control.planContrastPairs.executeWithOptions({ summary: `${label}: pairs of requests` }, [run]);
  const own = await generateAndReward(run, `${label}, own analyses`, plan, policy, progress);
  const splices = await control.planSplices.executeWithOptions({ summary: `${label}: hand analyses over` }, [
    run,
    { chains: own.chains },
  ]);
  // A policy that writes no analyses has none to hand over.
  const spliced =
    splices.items > 0
      ? await generateAndReward(run, `${label}, swapped analyses`, splices, policy, progress)
      : undefined;
  const { artifact } = await control.summariseFaithfulness.executeWithOptions({ summary: `${label}: figures` }, [
    run,
    {
      own: { chains: own.chains, rewards: own.rewards },
      ...(spliced ? { spliced: { chains: spliced.chains, rewards: spliced.rewards } } : {}),
    },
  ]);
  const secondsOf = (seconds: Figures): number => Object.values(seconds).reduce((sum, one) => sum + one, 0);
  return {
    artifact,
    seconds: secondsOf(own.seconds) + (spliced ? secondsOf(spliced.seconds) : 0),
    peakMemoryBytes: Math.max(own.peakMemoryBytes, spliced?.peakMemoryBytes ?? 0),
  };
}
