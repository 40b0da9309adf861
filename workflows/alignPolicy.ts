/**
 * The run: prepare the model, evaluate it, warm-start it, iterate CADA, evaluate again, export, report.
 *
 * Nothing here holds more than references and a few figures. A stage that fails for good does not end the run: it waits for its operator (retry or
 * stop), and every finished stage stays finished, because its activities find their step keys in the store.
 */
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import { evaluatePolicy } from './evaluatePolicy.ts';
import { handleMessages } from './operator.ts';
import { runIteration } from './runIteration.ts';
import {
  cardFigures,
  carriedOver,
  noteEnginePeak,
  noteRecord,
  recordOf,
  saveRecord,
  showCard,
  stageKey,
  startMemory,
  type RunMemory,
  type RunPlan,
} from './runMemory.ts';
import { control, gpu, preparation } from './stages.ts';
import type { Figures, PolicyState, RunContext, RunRecord, TrainedPolicy } from '../activities/types.ts';
import { warmStartPolicy } from './warmStartPolicy.ts';

export interface RunInput {
  run: RunContext;
  plan: RunPlan;
}

const recentIterations = 12;

/** @param carried what an earlier execution of the run has reached, where it continued as new. */
export async function alignPolicy({ run, plan }: RunInput, carried?: RunMemory): Promise<RunRecord> {
  const memory = carried ?? startMemory(run, plan);
  const operator = handleMessages(run, plan, memory);

  const stage = async <T>(
    name: string,
    work: () => Promise<T>,
    figuresOf: (outcome: T) => Figures = () => ({}),
  ): Promise<T> => {
    for (;;) {
      await operator.mayProceed();
      const startedAt = Date.now();
      memory.progress.stage = name;
      showCard(run, plan, memory);
      await noteRecord(run, plan, memory);
      try {
        const outcome = await work();
        const seconds = (Date.now() - startedAt) / 1000;
        memory.wallSeconds[stageKey(name)] = (memory.wallSeconds[stageKey(name)] ?? 0) + seconds;
        memory.progress.finishedStages.push({ stage: name, seconds, cached: false, figures: figuresOf(outcome) });
        if (memory.progress.finishedStages.length > 24) memory.progress.finishedStages.splice(4, 1);
        operator.activeChild = null;
        return outcome;
      } catch (error) {
        operator.activeChild = null;
        if (isCancellation(error)) throw error;
        await operator.decide(name, error);
      }
    }
  };
  const child = (suffix: string): { workflowId: string; parentClosePolicy: ParentClosePolicy } => {
    operator.activeChild = `${workflowInfo().workflowId}/${suffix}`;
    return { workflowId: operator.activeChild, parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL };
  };

  if (!memory.policy) {
    const prepared = await stage('prepare', () =>
      preparation.prepareModel.executeWithOptions({ summary: 'resolve, check and publish the model' }, [run]),
    );
    memory.policy = { model: prepared.model };
    // Histories recorded before the notes were answered have none.
    memory.progress.notes = prepared.notes ?? [];
    await evaluateStage('before', memory.policy);
    if (plan.warmStart) {
      const base = memory.policy;
      const warm = await stage(
        'warm start',
        () =>
          executeChild(warmStartPolicy, {
            ...child('warm-start'),
            args: [{ run, policy: base }],
            staticSummary: 'warm start',
          }),
        (outcome) => outcome.figures,
      );
      memory.policy = warm.policy;
      noteEnginePeak(memory, warm.peakMemoryBytes);
      if (plan.evaluateAfterWarmStart) await evaluateStage('warm start', memory.policy);
    } else {
      const model = memory.policy.model;
      const adapter = await stage('fresh adapter', () =>
        gpu.createAdapter.executeWithOptions({ summary: 'fresh LoRA adapter' }, [run, { model }]),
      );
      memory.policy = { model, adapter };
    }
    if (plan.klReference === 'warmStart') memory.reference = memory.policy;
    if (plan.klReference === 'base') memory.reference = { model: memory.policy.model };
  }

  while (memory.iteration < plan.iterations && !operator.stopAfterIteration) {
    const iteration = memory.iteration + 1;
    const policy: PolicyState = memory.policy;
    memory.progress.iteration = iteration;
    const trained: TrainedPolicy = await stage(
      `iteration ${iteration}`,
      () =>
        executeChild(runIteration, {
          ...child(memory.epoch === 0 ? `iteration-${iteration}` : `iteration-${iteration}.${memory.epoch}`),
          args: [
            {
              run,
              epoch: memory.epoch,
              iteration,
              policy,
              ...(memory.reference ? { reference: memory.reference } : {}),
              probe: plan.probe,
            },
          ],
          staticSummary: `iteration ${iteration} of ${plan.iterations}`,
        }),
      (outcome) => outcome.figures,
    );
    memory.policy = trained.policy;
    noteEnginePeak(memory, trained.peakMemoryBytes);
    memory.iteration = iteration;
    memory.recent = [...memory.recent, { iteration, figures: cardFigures(trained.figures) }].slice(-recentIterations);
    if (trained.figures['reward'] !== undefined) memory.progress.meanReward = trained.figures['reward'];
    if (workflowInfo().continueAsNewSuggested && iteration < plan.iterations) {
      await condition(allHandlersFinished);
      // What the operator asked for does not travel to the next execution; there is no need for one then.
      if (!operator.stopAfterIteration) return continueAsNew<typeof alignPolicy>({ run, plan }, carriedOver(memory));
    }
  }

  const final: PolicyState = memory.policy;
  await evaluateStage('after', final);
  memory.exported = await stage('export', () =>
    gpu.exportPolicy.executeWithOptions({ summary: 'PEFT adapter and merged safetensors' }, [run, final]),
  );
  const exported = memory.exported;
  memory.report = await stage('report', () =>
    control.writeReport.executeWithOptions({ summary: 'HTML report' }, [run, { exported }]),
  );
  const stopped = operator.stopAfterIteration && memory.iteration < plan.iterations;
  for (;;) {
    memory.progress.state = stopped ? 'stopped' : 'done';
    memory.progress.stage = 'done';
    showCard(run, plan, memory);
    try {
      await saveRecord(run, plan, memory);
      break;
    } catch (error) {
      if (isCancellation(error)) throw error;
      await operator.decide('record', error);
    }
  }
  await condition(allHandlersFinished);
  return recordOf(run, plan, memory);

  async function evaluateStage(name: string, policy: PolicyState): Promise<void> {
    const outcome = await stage(
      `evaluate ${name}`,
      () =>
        executeChild(evaluatePolicy, {
          ...child(`evaluate-${name.replaceAll(' ', '-')}`),
          args: [{ run, name, policy, ...(memory.baseAnswers ? { answers: memory.baseAnswers } : {}) }],
          staticSummary: `evaluate ${name}`,
        }),
      (evaluation) => evaluation.figures,
    );
    memory.baseAnswers ??= outcome.chains;
    memory.evaluations[name] = { artifact: outcome.evaluation, figures: outcome.figures };
    noteEnginePeak(memory, outcome.peakMemoryBytes);
  }
}
