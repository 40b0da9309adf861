/** Attacks that are searched for against a policy: suffixes by gradients, prompts by an attacker model. */
import type { AttackCosts, AttackInput, AttackReport } from '../activities/attackInputs.ts';
import type { AttackPlan } from '../activities/planAttacks.ts';
import type { ArtifactRef, PolicyState, RunContext, RunProgress } from '../activities/types.ts';
import { control, gpu, judge, runShards } from './stages.ts';
import { planWithVectors } from './vectors.ts';

export interface AttackOutcome {
  /** The questions as they are, and under each attack. */
  questions: ArtifactRef;
  costs: AttackCosts;
  plan: AttackPlan;
}

export async function searchAttacks(
  run: RunContext,
  input: AttackInput,
  policy: PolicyState,
  progress: RunProgress,
): Promise<AttackOutcome> {
  const costs: AttackCosts = {};
  const counted = async (report: Promise<AttackReport>): Promise<AttackReport> => {
    addCosts(costs, (await report).costs);
    return report;
  };
  const plan = await judge.planAttacks.executeWithOptions({ summary: 'attacks' }, [run, input]);

  progress.stage = 'attack: gcg';
  const { attacks: _, ...asked } = input;
  // Suffixes are searched for behind the arm's cases: where those are chosen by vectors, the vectors come first.
  if (plan.suffixes > 0 && input.arm) {
    await planWithVectors(run, policy.model, progress, () =>
      judge.planSuites.executeWithOptions({ summary: 'prompts of the questions' }, [run, asked, policy.model]),
    );
  }
  await runShards(progress, plan.suffixes, (index) =>
    counted(
      gpu.searchSuffix.executeWithOptions({ summary: `suffix ${index + 1} of ${plan.suffixes}` }, [
        run,
        { ...input, policy, index },
      ]),
    ),
  );
  const { gcg } = costs;
  if (gcg) for (const name of ['initialLoss', 'bestLoss']) gcg[name] = (gcg[name] ?? 0) / plan.suffixes;
  progress.stage = 'attack: reword';
  await runShards(progress, plan.rewordingShards, (shard) =>
    counted(
      judge.rewordQuestions.executeWithOptions(
        { summary: `reword questions, shard ${shard + 1} of ${plan.rewordingShards}` },
        [run, { ...input, shard }],
      ),
    ),
  );
  const streams = plan.pair ? await refinePrompts(run, input, policy, progress, costs) : undefined;
  const { questions } = await judge.collectAttacks.executeWithOptions({ summary: 'questions under attacks' }, [
    run,
    { ...input, policy, ...(streams ? { streams } : {}) },
  ]);
  return { questions, costs, plan };
}

/** PAIR: round after round, until every stream has ended. Answers with the streams. */
async function refinePrompts(
  run: RunContext,
  input: AttackInput,
  policy: PolicyState,
  progress: RunProgress,
  costs: AttackCosts,
): Promise<ArtifactRef> {
  const { questions: _, attacks: __, ...asked } = input;
  let previous: { streams: ArtifactRef; plan?: ArtifactRef; chains?: ArtifactRef } | undefined;
  for (let round = 0; ; round++) {
    progress.stage = `attack: pair, round ${round + 1}`;
    const now = await judge.pairRound.executeWithOptions({ summary: `PAIR, round ${round + 1}: prompts` }, [
      run,
      { ...input, policy, round, ...(previous ? { previous } : {}) },
    ]);
    addCosts(costs, now.costs);
    previous = { streams: now.streams };
    if (now.prompts > 0) {
      const plan = await planWithVectors(run, policy.model, progress, () =>
        judge.planSuites.executeWithOptions({ summary: `PAIR, round ${round + 1}: plan` }, [
          run,
          { ...asked, questions: now.questions },
          policy.model,
        ]),
      );
      await runShards(progress, plan.shards, (shard) =>
        gpu.generateChains.executeWithOptions(
          { summary: `PAIR, round ${round + 1}: answers, shard ${shard + 1} of ${plan.shards}` },
          [run, { plan: plan.plan, policy, shard }],
        ),
      );
      const chains = await control.collectChains.executeWithOptions(
        { summary: `PAIR, round ${round + 1}: collect ${plan.items} answers` },
        [run, { plan: plan.plan, policy }],
      );
      previous = { streams: now.streams, plan: plan.plan, chains: chains.artifact };
    } else if (now.open === 0) return now.streams;
  }
}

/** Adds one attack's numbers to what it has cost so far. */
export function addCosts(costs: AttackCosts, more: AttackCosts): void {
  for (const [attack, figures] of Object.entries(more)) {
    const known = (costs[attack] ??= {});
    for (const [name, value] of Object.entries(figures)) {
      // Means do not add up.
      if (!name.endsWith('mean_latency_ms')) known[name] = (known[name] ?? 0) + value;
    }
  }
}
