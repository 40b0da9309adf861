/** Who writes the chains of a warm start: the policy samples them later, a teacher is asked, or agents deliberate. */
import { control, gpu, judge, runShards } from './stages.ts';
import type { Figures, PolicyState, RunContext, RunProgress, ShardedPlan } from '../activities/types.ts';

export interface SourcedPlan {
  /** Of prompts, or of written chains. */
  plan: ShardedPlan;
  figures: Figures;
  seconds: Figures;
  peakMemoryBytes: number;
}

export async function writeChains(
  run: RunContext,
  label: string,
  plan: ShardedPlan,
  policy: PolicyState,
  progress: RunProgress,
): Promise<SourcedPlan> {
  switch (plan.source) {
    case undefined:
      return { plan, figures: {}, seconds: {}, peakMemoryBytes: 0 };
    case 'teacher':
      return writeByTeacher(run, label, plan, progress);
    case 'deliberation':
      return writeByDeliberation(run, label, plan, policy, progress);
  }
}

async function writeByTeacher(
  run: RunContext,
  label: string,
  plan: ShardedPlan,
  progress: RunProgress,
): Promise<SourcedPlan> {
  progress.stage = `${label}: ask the teacher`;
  const { seconds } = await askTeacher(run, label, plan, progress);
  const written = await control.planWrittenChains.executeWithOptions(
    { summary: `${label}: plan the teacher's ${plan.items} chains` },
    [run, { plan: plan.plan }],
  );
  return { plan: written, figures: written.figures, seconds: { write: seconds }, peakMemoryBytes: 0 };
}

/** Intents, draft, rounds of critique, refinement: as many phases as the deliberation takes, each a stage of shards. */
async function writeByDeliberation(
  run: RunContext,
  label: string,
  plan: ShardedPlan,
  policy: PolicyState,
  progress: RunProgress,
): Promise<SourcedPlan> {
  const figures: Figures = {};
  let seconds = 0;
  let peakMemoryBytes = 0;
  const input = { plan: plan.plan, policy };
  const decide = (summary: string, asked?: { state: ShardedPlan['plan']; plan: ShardedPlan['plan'] }) =>
    control.deliberate.executeWithOptions({ summary: `${label}: ${summary}` }, [
      run,
      { ...input, ...(asked ? { asked } : {}) },
    ]);
  let step = await decide('open the deliberation');
  while (step.phase !== 'done') {
    const { state, by, plan: questions } = step;
    const phase = step.phase === 'critique' ? `critique, round ${step.round}` : step.phase;
    progress.stage = `${label}: deliberate, ${phase}`;
    const asked =
      by === 'teacher'
        ? await askTeacher(run, `${label}: ${phase}`, questions, progress)
        : await runShards(progress, questions.shards, (shard) =>
            gpu.generateChains.executeWithOptions(
              { summary: `${label}: ${phase}, shard ${shard + 1} of ${questions.shards}` },
              [run, { plan: questions.plan, policy, shard }],
            ),
          );
    seconds += asked.seconds;
    peakMemoryBytes = Math.max(peakMemoryBytes, asked.peakMemoryBytes);
    step = await decide(`after ${phase}`, { state, plan: questions.plan });
    addFigures(figures, step.figures);
  }
  return { plan: step.plan, figures, seconds: { deliberate: seconds }, peakMemoryBytes };
}

function askTeacher(run: RunContext, label: string, plan: ShardedPlan, progress: RunProgress) {
  return runShards(progress, plan.shards, (shard) =>
    judge.askTeacher.executeWithOptions({ summary: `${label}: teacher, shard ${shard + 1} of ${plan.shards}` }, [
      run,
      { plan: plan.plan, shard },
    ]),
  );
}

/** Counts of the phases add up; the latency is that of the slowest phase. */
function addFigures(sum: Figures, more: Figures): void {
  for (const [name, value] of Object.entries(more)) {
    const before = sum[name] ?? 0;
    sum[name] = name.endsWith('_ms') ? Math.max(before, value) : before + value;
  }
}
