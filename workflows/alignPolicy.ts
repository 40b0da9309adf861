/**
 * The run: prepare the model, evaluate it, warm-start it, iterate CADA, evaluate again, export, report.
 *
 * Nothing here holds more than references and a few figures. A stage that fails for good does not end the run: it waits for its operator (retry or
 * stop), and every finished stage stays finished, because its activities find their step keys in the store.
 */
import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  continueAsNew,
  executeChild,
  isCancellation,
  log,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import { renderCard } from './card.ts';
import { evaluatePolicy } from './evaluatePolicy.ts';
import {
  activeChildQuery,
  pauseUpdate,
  progressQuery,
  resumeUpdate,
  retryStageUpdate,
  stopAfterIterationUpdate,
  stopRunUpdate,
} from './messages.ts';
import { runIteration } from './runIteration.ts';
import { control, gpu, preparation } from './stages.ts';
import type {
  ArtifactRef,
  Figures,
  PolicyState,
  RunContext,
  RunProgress,
  RunRecord,
  TrainedPolicy,
} from '../activities/types.ts';
import { warmStartPolicy } from './warmStartPolicy.ts';

export interface RunPlan {
  warmStart: boolean;
  evaluateAfterWarmStart: boolean;
  iterations: number;
  klReference: 'warmStart' | 'base' | 'none';
  probe: boolean;
}

export interface RunInput {
  run: RunContext;
  plan: RunPlan;
}

/** Everything the run must remember between executions; bounded, whatever the number of iterations. */
export interface RunMemory {
  epoch: number;
  iteration: number;
  policy?: PolicyState;
  reference?: PolicyState;
  evaluations: Record<string, { artifact: ArtifactRef; figures: Figures }>;
  exported?: ArtifactRef;
  report?: ArtifactRef;
  wallSeconds: Figures;
  peakMemoryBytes: Figures;
  progress: RunProgress;
  /** Figures of the newest iterations, for the card. */
  recent: { iteration: number; figures: Figures }[];
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
      await saveRecord(run, plan, memory);
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
    control.writeReport.executeWithOptions({ summary: 'HTML report' }, [
      run,
      { record: recordOf(run, plan, memory), exported },
    ]),
  );
  memory.progress.state = operator.stopAfterIteration && memory.iteration < plan.iterations ? 'stopped' : 'done';
  memory.progress.stage = 'done';
  showCard(run, plan, memory);
  await saveRecord(run, plan, memory);
  await condition(allHandlersFinished);
  return recordOf(run, plan, memory);

  async function evaluateStage(name: string, policy: PolicyState): Promise<void> {
    const outcome = await stage(
      `evaluate ${name}`,
      () =>
        executeChild(evaluatePolicy, {
          ...child(`evaluate-${name.replaceAll(' ', '-')}`),
          args: [{ run, name, policy }],
          staticSummary: `evaluate ${name}`,
        }),
      (evaluation) => evaluation.figures,
    );
    memory.evaluations[name] = { artifact: outcome.evaluation, figures: outcome.figures };
    noteEnginePeak(memory, outcome.peakMemoryBytes);
  }
}

/** The engine's peak over all its shards and processes. */
function noteEnginePeak(memory: RunMemory, bytes: number): void {
  if (bytes > (memory.peakMemoryBytes['engine'] ?? 0)) memory.peakMemoryBytes['engine'] = bytes;
}

/** Wall seconds are kept by kind of stage: all iterations share one number. */
function stageKey(name: string): string {
  return name.startsWith('iteration ') ? 'iterations' : name;
}

function startMemory(run: RunContext, plan: RunPlan): RunMemory {
  return {
    epoch: 0,
    iteration: 0,
    evaluations: {},
    wallSeconds: {},
    peakMemoryBytes: {},
    recent: [],
    progress: {
      runId: run.runId,
      state: 'running',
      stage: 'start',
      iteration: 0,
      iterations: plan.iterations,
      shardsDone: 0,
      shardsTotal: 0,
      notes: [],
      finishedStages: [],
    },
  };
}

/** The memory as the next execution gets it: what display alone needs is cut down, so that the payload stays small. */
function carriedOver(memory: RunMemory): RunMemory {
  const stages = memory.progress.finishedStages;
  const kept = stages.filter((_, index) => index < 4 || index >= stages.length - 4);
  return {
    ...memory,
    recent: memory.recent.slice(-4).map(({ iteration, figures }) => ({ iteration, figures: rounded(figures) })),
    wallSeconds: rounded(memory.wallSeconds),
    progress: {
      ...memory.progress,
      notes: [],
      finishedStages: kept.map(({ stage, seconds, cached }) => ({ stage, cached, seconds: roundedNumber(seconds) })),
    },
  };
}

function rounded(figures: Figures): Figures {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, roundedNumber(value)]));
}

const roundedNumber = (value: number): number => Math.round(value * 1e4) / 1e4;

/** What the operator may ask of the run, and what the run asks of its operator. */
function handleMessages(run: RunContext, plan: RunPlan, memory: RunMemory) {
  const { progress } = memory;
  const operator = {
    activeChild: null as string | null,
    stopAfterIteration: false,
    answer: null as 'retry' | 'stop' | null,
    async mayProceed(): Promise<void> {
      if (progress.state !== 'paused') return;
      showCard(run, plan, memory);
      await saveRecord(run, plan, memory);
      await condition(() => progress.state !== 'paused');
    },
    /** Waits for the operator after a stage has failed for good. Returns to retry; throws to stop. */
    async decide(stage: string, error: unknown): Promise<void> {
      progress.state = 'waiting';
      progress.cause = `${stage}: ${rootCause(error)}`;
      log.error('A stage has failed for good; the run waits for its operator', { stage, cause: progress.cause });
      showCard(run, plan, memory);
      await saveRecord(run, plan, memory);
      operator.answer = null;
      await condition(() => operator.answer !== null);
      const cause = progress.cause;
      delete progress.cause;
      if (operator.answer === 'stop') {
        progress.state = 'failed';
        progress.cause = cause;
        await saveRecord(run, plan, memory);
        throw ApplicationFailure.nonRetryable(`stopped by the operator after: ${cause}`, 'StoppedByOperator');
      }
      progress.state = 'running';
    },
  };

  setHandler(progressQuery, () => progress);
  setHandler(activeChildQuery, () => operator.activeChild);
  const refuseUnless = (allowed: boolean, message: string): void => {
    if (!allowed) throw new Error(message);
  };
  setHandler(
    pauseUpdate,
    () => {
      progress.state = 'paused';
      return `pauses when "${progress.stage}" has ended`;
    },
    { validator: () => refuseUnless(progress.state === 'running', `the run is ${progress.state}, not running`) },
  );
  setHandler(
    resumeUpdate,
    () => {
      progress.state = 'running';
      return 'goes on';
    },
    { validator: () => refuseUnless(progress.state === 'paused', `the run is ${progress.state}, not paused`) },
  );
  setHandler(
    stopAfterIterationUpdate,
    () => {
      operator.stopAfterIteration = true;
      return `stops after iteration ${progress.iteration}, then evaluates, exports and reports`;
    },
    {
      validator: () =>
        refuseUnless(progress.state === 'running' || progress.state === 'paused', `the run is ${progress.state}`),
    },
  );
  const waiting = {
    validator: () =>
      refuseUnless(progress.state === 'waiting', `the run is ${progress.state}, not waiting for its operator`),
  };
  setHandler(
    retryStageUpdate,
    () => {
      operator.answer = 'retry';
      return `runs "${progress.stage}" again`;
    },
    waiting,
  );
  setHandler(
    stopRunUpdate,
    () => {
      operator.answer = 'stop';
      return 'ends the run; its artifacts stay in the store';
    },
    waiting,
  );
  return operator;
}

function rootCause(error: unknown): string {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  return cause instanceof Error ? cause.message : String(cause);
}

function cardFigures(figures: Figures): Figures {
  const shown = ['reward', 'rewards/format/mean', 'kl', 'grad_norm', 'completions/mean_length'];
  return Object.fromEntries(shown.filter((name) => figures[name] !== undefined).map((name) => [name, figures[name]!]));
}

function recordOf(run: RunContext, plan: RunPlan, memory: RunMemory): RunRecord {
  return {
    runId: run.runId,
    configuration: run.configuration,
    library: run.library,
    state: memory.progress.state,
    stage: memory.progress.stage,
    iteration: memory.iteration,
    iterations: plan.iterations,
    ...(memory.progress.cause ? { cause: memory.progress.cause } : {}),
    ...(memory.policy ? { policy: memory.policy } : {}),
    evaluations: memory.evaluations,
    ...(memory.exported ? { exported: memory.exported } : {}),
    ...(memory.report ? { report: memory.report } : {}),
    wallSeconds: memory.wallSeconds,
    peakMemoryBytes: memory.peakMemoryBytes,
  };
}

async function saveRecord(run: RunContext, plan: RunPlan, memory: RunMemory): Promise<void> {
  const peaks = await control.saveRun.executeWithOptions(
    { summary: `record: ${memory.progress.state}, ${memory.progress.stage}` },
    [run, recordOf(run, plan, memory)],
  );
  memory.peakMemoryBytes = { ...memory.peakMemoryBytes, ...peaks };
}

function showCard(run: RunContext, plan: RunPlan, memory: RunMemory): void {
  setCurrentDetails(renderCard(run, plan, memory));
  upsertMemo({ stage: memory.progress.stage, state: memory.progress.state });
}
