/**
 * The run: prepare the model, evaluate it, warm-start it, iterate CADA, evaluate again, export, report.
 *
 * Nothing here holds more than references and a few figures. A stage that fails for good does not end the run: it waits for its operator (retry, roll
 * back or stop), and every finished stage stays finished, because its activities find their step keys in the store.
 */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  ContinueAsNew,
  executeChild,
  isCancellation,
  workflowInfo,
} from '@temporalio/workflow';
import { archiveAfterwards } from './archiveRun.ts';
import { goBack, heal, judge, rejectionOf } from './course.ts';
import { evaluatePolicy } from './evaluatePolicy.ts';
import { prepareGuardModel } from './guarding.ts';
import { Interrupted, Operator } from './operator.ts';
import { releasePolicy } from './release.ts';
import { runIteration } from './runIteration.ts';
import { evaluationCardFigures, iterationCardFigures } from './cardFigures.ts';
import { carriedOver, restored, type CarriedMemory } from './carriedMemory.ts';
import {
  noteEnginePeak,
  noteRecord,
  recordOf,
  referenceOf,
  saveRecord,
  showCard,
  startMemory,
  type RunAtWork,
  type RunMemory,
} from './runMemory.ts';
import { createRunStages, type RunStages } from './runStages.ts';
import { control, gpu, preparation } from './stages.ts';
import { handleUpdates } from './updates.ts';
import { warmStartPolicy } from './warmStartPolicy.ts';
import { takesNewerBuilds } from './versioning.ts';
import type { PolicyState, ReleaseState, RunContext, RunPlan, ServerTraits, ToldRecord } from '../activities/types.ts';

export interface RunInput {
  run: RunContext;
  plan: RunPlan;
  server: ServerTraits;
}

const recentIterations = 12;

takesNewerBuilds(alignPolicy);

/**
 * @param carried what an earlier execution of the run has reached, where it continued as new or was started again from the store's record
 * @param release what was decided about its policy, where the run was started again after its end
 */
export async function alignPolicy(
  { run, plan, server }: RunInput,
  carried?: CarriedMemory | RunMemory,
  release?: ReleaseState,
): Promise<ToldRecord> {
  const memory = carried ? restored(carried, release) : startMemory(run, plan);
  const work: RunAtWork = { run, plan, server, memory };
  const operator = new Operator(work);
  const stages = createRunStages(work, operator);
  handleUpdates(work, operator);
  try {
    for (;;) {
      try {
        await begin(work, stages);
        await iterate(work, operator, stages);
        await finish(work, operator, stages);
        if (isFinished(work, operator)) break;
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
        const course = operator.newCourse!;
        operator.newCourse = null;
        await goBack(work, course);
      }
    }
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    await CancellationScope.nonCancellable(() => noteEnd(work, error));
    throw error;
  }
  await archiveAfterwards(work);
  return recordOf(work);
}

/** Up to the policy that the iterations start from; each part only where an earlier execution has not done it. */
async function begin(work: RunAtWork, stages: RunStages): Promise<void> {
  const { memory, plan } = work;
  if (!memory.policy) {
    const prepared = await stages.run('prepare', () =>
      preparation.prepareModel.executeWithOptions({ summary: 'resolve, check and publish the model' }, [work.run]),
    );
    memory.policy = { model: prepared.model };
    memory.progress.notes = prepared.notes ?? [];
  }
  if (plan.guardModel && !work.run.guardModel) {
    const guard = await stages.run('prepare guard model', () => prepareGuardModel(work.run));
    work.run = { ...work.run, guardModel: guard.model };
    memory.progress.notes = [...memory.progress.notes, ...(guard.notes ?? [])];
  }
  const { model } = memory.policy;
  if (!memory.evaluations['before']) await evaluateStage(work, stages, 'before', { model });
  if (!memory.policy.adapter) {
    memory.policy = plan.warmStart ? await warmStart(work, stages) : await freshAdapter(work, stages);
    memory.originAdapter = memory.policy.adapter!;
  }
  if (plan.warmStart && plan.evaluateAfterWarmStart && !memory.evaluations['warm start']) {
    await evaluateStage(work, stages, 'warm start', { model, adapter: memory.originAdapter! });
  }
}

async function iterate(work: RunAtWork, operator: Operator, stages: RunStages): Promise<void> {
  const { memory } = work;
  while (memory.iteration < work.plan.iterations && !operator.stopAfterIteration) {
    const iteration = memory.iteration + 1;
    memory.progress.iteration = iteration;
    const trained = await stages.run(
      `iteration ${iteration}`,
      () => trainOnce(work, stages, iteration).catch((error: unknown) => rejectionOf(work, iteration, error)),
      (outcome) => ('policy' in outcome ? outcome.figures : {}),
    );
    const rejection = 'policy' in trained ? judge(work, iteration, trained) : trained;
    if (rejection) await heal(work, operator, rejection);
    else if ('policy' in trained) {
      memory.policy = trained.policy;
      // It was of the policy before.
      delete memory.release;
      memory.iteration = iteration;
      noteEnginePeak(memory, trained.peakMemoryBytes);
      memory.recent = [...memory.recent, { iteration, figures: iterationCardFigures(trained.figures) }].slice(
        -recentIterations,
      );
      if (trained.figures['reward'] !== undefined) memory.progress.meanReward = trained.figures['reward'];
    }
    if (workflowInfo().continueAsNewSuggested) await continueRun(work, operator);
  }
}

function trainOnce(work: RunAtWork, stages: RunStages, iteration: number) {
  const { run, plan, memory } = work;
  const { epoch } = memory;
  const reference = referenceOf(work);
  return executeChild(runIteration, {
    ...stages.child(epoch === 0 ? `iteration-${iteration}` : `iteration-${iteration}.${epoch}`),
    args: [
      {
        ...{ run, epoch, iteration, policy: memory.policy!, ...(reference ? { reference } : {}), probe: plan.probe },
        ...(plan.preferences ? { preferences: plan.preferences } : {}),
        ...(plan.validator ? { validator: plan.validator } : {}),
      },
    ],
    staticSummary: `iteration ${iteration} of ${plan.iterations}`,
  });
}

async function continueRun(work: RunAtWork, operator: Operator): Promise<void> {
  const { memory } = work;
  // The last iteration, or a stop that was asked for, ends this execution soon by itself.
  const endsSoon = (): boolean => memory.iteration >= work.plan.iterations || operator.stopAfterIteration;
  if (endsSoon()) return;
  await archiveAfterwards(work);
  await condition(allHandlersFinished);
  operator.throwIfInterrupted();
  if (endsSoon()) return;
  const { run, plan, server } = work;
  await continueAsNew<typeof alignPolicy>({ run, plan, server }, ...carriedOver(memory));
}

async function finish(work: RunAtWork, operator: Operator, stages: RunStages): Promise<void> {
  const { memory } = work;
  const final = memory.policy!;
  await evaluateStage(work, stages, 'after', final);
  const exported = await stages.run('export', () =>
    gpu.exportPolicy.executeWithOptions({ summary: 'PEFT adapter and merged safetensors' }, [work.run, final]),
  );
  memory.exported = exported;
  const { release: plan } = work.plan;
  if (plan && !(await releasePolicy(work, operator, stages, { plan, exported }))) return;
  memory.report = await stages.run('report', () =>
    control.writeReport.executeWithOptions({ summary: 'HTML report' }, [work.run, { exported: memory.exported! }]),
  );
  const { progress } = memory;
  for (;;) {
    progress.state = isStopped(work, operator) ? 'stopped' : 'done';
    progress.stage = 'done';
    showCard(work);
    try {
      await saveRecord(work);
      break;
    } catch (error) {
      if (isCancellation(error)) throw error;
      await operator.decide('record', error);
    }
  }
  await condition(allHandlersFinished);
  operator.throwIfInterrupted();
}

const isStopped = ({ memory, plan }: RunAtWork, operator: Operator): boolean =>
  operator.stopAfterIteration && memory.iteration < plan.iterations;

/** False where the operator has asked for more meanwhile. */
function isFinished(work: RunAtWork, operator: Operator): boolean {
  const { memory, plan } = work;
  const finished = memory.iteration >= plan.iterations || isStopped(work, operator);
  if (!finished) memory.progress.state = 'running';
  return finished;
}

async function evaluateStage(work: RunAtWork, stages: RunStages, name: string, policy: PolicyState): Promise<void> {
  const { memory } = work;
  const outcome = await stages.run(
    `evaluate ${name}`,
    () =>
      executeChild(evaluatePolicy, {
        ...stages.child(`evaluate-${name.replaceAll(' ', '-')}`),
        args: [{ run: work.run, name, policy, ...(memory.baseAnswers ? { answers: memory.baseAnswers } : {}) }],
        staticSummary: `evaluate ${name}`,
      }),
    (evaluation) => evaluation.figures,
  );
  memory.baseAnswers ??= outcome.chains;
  memory.evaluations[name] = { artifact: outcome.evaluation, figures: evaluationCardFigures(outcome.figures) };
  noteEnginePeak(memory, outcome.peakMemoryBytes);
}

async function warmStart(work: RunAtWork, stages: RunStages): Promise<PolicyState> {
  const policy = work.memory.policy!;
  const warm = await stages.run(
    'warm start',
    () =>
      executeChild(warmStartPolicy, {
        ...stages.child('warm-start'),
        args: [{ run: work.run, policy }],
        staticSummary: 'warm start',
      }),
    (outcome) => outcome.figures,
  );
  noteEnginePeak(work.memory, warm.peakMemoryBytes);
  return warm.policy;
}

async function freshAdapter(work: RunAtWork, stages: RunStages): Promise<PolicyState> {
  const { model } = work.memory.policy!;
  const adapter = await stages.run('fresh adapter', () =>
    gpu.createAdapter.executeWithOptions({ summary: 'fresh LoRA adapter' }, [work.run, { model }]),
  );
  return { model, adapter };
}

/** A run that is cancelled leaves a record that says so; one that its operator stopped has left it. */
async function noteEnd(work: RunAtWork, error: unknown): Promise<void> {
  if (isCancellation(error)) {
    work.memory.progress.state = 'cancelled';
    showCard(work);
    await noteRecord(work);
  }
  await condition(allHandlersFinished);
  await archiveAfterwards(work);
}
