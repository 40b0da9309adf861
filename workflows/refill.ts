/** Dynamic sampling: groups of further requests in place of those whose chains all got the same advantage. */
import { generateAndReward, type RewardedChains } from './generation.ts';
import { control } from './stages.ts';
import { planWithVectors } from './vectors.ts';
import type {
  ArtifactRef,
  IterationRound,
  PolicyState,
  RunContext,
  RunProgress,
  UpdatePlan,
} from '../activities/types.ts';

export interface PlannedUpdate {
  update: UpdatePlan;
  /** The rounds after the first. */
  refills: IterationRound[];
  /** What was preferred to what, where the step is one of DPO or KTO. */
  preferences?: ArtifactRef;
  /** Of all rounds together. */
  seconds: Record<string, number>;
  peakMemoryBytes: number;
}

/** Plans the update; as long as the plan misses groups and the training set has more requests, draws them and plans again. */
export async function planWithRefills(
  run: RunContext,
  label: string,
  { iteration, epoch, policy }: { iteration: number; epoch: number; policy: PolicyState },
  first: RewardedChains,
  progress: RunProgress,
): Promise<PlannedUpdate> {
  const refills: IterationRound[] = [];
  let { seconds, peakMemoryBytes } = first;
  for (;;) {
    const update = await control.planUpdate.executeWithOptions({ summary: `${label}: advantages` }, [
      run,
      {
        iteration,
        chains: first.chains,
        rewards: first.rewards,
        ...(refills.length > 0 ? { refills: refills.map(({ chains, rewards }) => ({ chains, rewards })) } : {}),
      },
    ]);
    if (!update.missing) return { update, refills, seconds, peakMemoryBytes };

    const round = `${label}, refill ${refills.length + 1}`;
    const after = [first, ...refills].map(({ plan }) => plan);
    const refill = { missing: update.missing, after };
    const plan = await planWithVectors(run, policy.model, progress, () =>
      control.sampleCases.executeWithOptions({ summary: `${round}: sample further requests` }, [
        run,
        { kind: 'iteration', iteration, epoch, refill },
        policy.model,
      ]),
    );
    if (plan.items === 0) return { update, refills, seconds, peakMemoryBytes };
    const drawn = await generateAndReward(run, round, plan, policy, progress);
    refills.push({ plan: drawn.plan, chains: drawn.chains, rewards: drawn.rewards });
    seconds = Object.fromEntries(
      Object.entries(drawn.seconds).map(([stage, value]) => [stage, (seconds[stage] ?? 0) + value]),
    );
    peakMemoryBytes = Math.max(peakMemoryBytes, drawn.peakMemoryBytes);
  }
}
