/** Changes of a run's course: what its operator asks for, and what its guard does by itself. */
import { ApplicationFailure, condition, currentUpdateInfo } from '@temporalio/workflow';
import { judgeIteration, rejectedStep, type Rejection } from '../alignment/guard/iterationGuard.ts';
import { rootCause, type NewCourse, type Operator } from './operator.ts';
import { noteRecord, showCard, type RunAtWork } from './runMemory.ts';
import { control } from './stages.ts';
import type { CourseRequest, PolicyState, TrainedPolicy } from '../activities/types.ts';

const mostTold = 4;

/** Takes other settings and more iterations into effect; where the run goes back, answers with the policy to go on from. */
export async function changeCourse(
  work: RunAtWork,
  request: Omit<CourseRequest, 'number' | 'epoch' | 'iteration' | 'updateId'>,
): Promise<{ told: string; policy: PolicyState }> {
  const { memory } = work;
  const updateId = request.by === 'operator' ? currentUpdateInfo()?.id : undefined;
  // One after the other: each change starts from the configuration that the one before it left.
  await condition(() => !work.changing);
  work.changing = true;
  try {
    return await makeChange(work, {
      number: memory.courseChanges + 1,
      epoch: memory.epoch,
      iteration: memory.iteration,
      ...(updateId ? { updateId } : {}),
      ...request,
    });
  } finally {
    work.changing = false;
  }
}

async function makeChange(work: RunAtWork, request: CourseRequest): Promise<{ told: string; policy: PolicyState }> {
  const { memory } = work;
  const { told, configuration, plan, policy } = await control.changeCourse.executeWithOptions(
    { summary: `change of course ${request.number}: ${request.kind}` },
    [work.run, request],
  );
  memory.courseChanges = request.number;
  work.run = { ...work.run, configuration };
  work.plan = plan;
  memory.progress.iterations = plan.iterations;
  memory.told = [...memory.told, told].slice(-mostTold);
  showCard(work);
  const { model } = memory.policy ?? {};
  const origin: PolicyState = { model: model!, ...(memory.originAdapter ? { adapter: memory.originAdapter } : {}) };
  return { told, policy: policy ?? origin };
}

export async function goBack(work: RunAtWork, { rollBackTo, policy }: NewCourse): Promise<void> {
  const { memory } = work;
  memory.epoch += 1;
  memory.iteration = rollBackTo;
  memory.policy = policy;
  memory.recent = memory.recent.filter(({ iteration }) => iteration <= rollBackTo);
  delete memory.evaluations['after'];
  delete memory.release;
  delete memory.progress.cause;
  if (['waiting', 'awaiting approval'].includes(memory.progress.state)) memory.progress.state = 'running';
  // A run that is started anew begins by its record.
  await noteRecord(work);
}

/** A step that came out as no number is for the guard, where there is one; all other failures are the operator's. */
export function rejectionOf({ plan }: RunAtWork, iteration: number, error: unknown): Rejection {
  const cause = rootCause(error);
  const notFinite = cause instanceof ApplicationFailure && cause.type === 'Engine.notFinite';
  if (!plan.guard || !notFinite) throw error;
  return rejectedStep(iteration, cause.message);
}

export function judge({ plan, memory }: RunAtWork, iteration: number, trained: TrainedPolicy): Rejection | undefined {
  if (trained.rejected) return { ...rejectedStep(iteration, trained.rejected), action: 'stop' };
  if (!plan.guard) return undefined;
  const rewards = memory.recent.flatMap(({ figures }) => figures['reward'] ?? []);
  const { reward } = trained.figures;
  return judgeIteration(plan.guard, iteration, trained.figures, reward === undefined ? rewards : [...rewards, reward]);
}

/** What follows a rejected step, as the configuration says. */
export async function heal(work: RunAtWork, operator: Operator, rejection: Rejection): Promise<void> {
  const { memory } = work;
  const { cause, lastGood } = rejection;
  if ((rejection.action ?? work.plan.guard!.action) === 'stop') {
    const { policy } = await changeCourse(work, { kind: 'stop', by: 'guard', cause, rollBackTo: lastGood });
    await goBack(work, { rollBackTo: lastGood, policy });
    operator.stopAfterIteration = true;
    return;
  }
  const { maxRollBacks, rateFactor } = work.plan.guard!;
  if (memory.guarded >= maxRollBacks) {
    await operator.decide(
      `iteration ${memory.iteration + 1}`,
      new Error(`${cause}; the guard has rolled back ${memory.guarded} times already`),
    );
    memory.guarded = 0;
  }
  memory.guarded += 1;
  const { policy } = await changeCourse(work, {
    kind: 'rollBack',
    by: 'guard',
    cause,
    rollBackTo: lastGood,
    rateFactor,
  });
  await goBack(work, { rollBackTo: lastGood, policy });
}
