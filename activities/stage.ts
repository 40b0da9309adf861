/** What every activity that computes an artifact does around its work: the step cache, heartbeats, cancellation and failures that say whether to retry. */
import { ApplicationFailure, Context } from '@temporalio/activity';
import { EngineError, type EngineProgress, type EngineSettings } from '../engine/policy.ts';
import { runStep, stepKey, type StepManifest, type StepOutput } from '../infra/artifacts/steps.ts';
import { tellingProgress } from './pulse.ts';
import { roomToCompute } from './roomToCompute.ts';
import type { ActivityDependencies, GpuDependencies, KillableEngine } from './dependencies.ts';

export interface Stage {
  stage: string;
  version: number;
  inputs: Record<string, unknown>;
}

/**
 * Runs a stage, or finds that it was run: see infra/artifacts/steps. The worker's log is the ledger of what was computed and what was found: one line
 * `computes` for each computation that begins, one line `has` for each stage that ends.
 */
export async function runStage(
  dependencies: ActivityDependencies,
  stage: Stage,
  compute: (spool: string) => Promise<{ outputs: Record<string, StepOutput>; figures?: Record<string, unknown> }>,
): Promise<StepManifest & { cached: boolean }> {
  const { store, scratchPath, log } = dependencies;
  const entry = { stage: stage.stage, key: stepKey(stage), attempt: Context.current().info.attempt };
  const manifest = await runStep(
    store,
    stage,
    async (spool) => {
      await roomToCompute(spool, {
        onWait: ({ message }) => log.warn({ ...entry, cause: message }, 'waits for room on the disk'),
      });
      log.info(entry, 'computes');
      return compute(spool);
    },
    {
      spoolRoot: scratchPath,
      onRepair: (repair) => log.warn(repair, 'a stored step was damaged and is computed again'),
    },
  );
  log.info({ ...entry, cached: manifest.cached }, 'has');
  return manifest;
}

/**
 * Calls the engine with heartbeats on its progress, kills it when the activity is cancelled, and turns its errors into failures that Temporal retries
 * or not. A call that takes no `onProgress` has none to tell: the clock's heartbeats go on (pulse.ts).
 */
export async function withEngine<T>(
  engine: KillableEngine,
  call: (onProgress: (progress: EngineProgress) => void) => Promise<T>,
): Promise<T> {
  // Captured here: inside an abort listener Context.current() throws.
  const context = Context.current();
  // The shard may have been given to another worker while this one fetched what it needs.
  context.cancellationSignal.throwIfAborted();
  const kill = (): void => engine.kill();
  context.cancellationSignal.addEventListener('abort', kill, { once: true });
  try {
    context.heartbeat({ phase: 'load', done: 0, total: 0, tokens: 0 });
    const atWork = (): Promise<T> => call((progress) => context.heartbeat(progress));
    return await (call.length === 0 ? atWork() : tellingProgress(atWork));
  } catch (error) {
    context.cancellationSignal.throwIfAborted();
    throw asFailure(error);
  } finally {
    context.cancellationSignal.removeEventListener('abort', kill);
  }
}

/** For a step's figures: where the engine ran, and why there, unless that is the CPU as configured. A choice or fallback is logged too. */
export function deviceFigures({ log }: ActivityDependencies, engine: KillableEngine): Record<string, string> {
  const use = engine.deviceUse?.();
  if (!use || use.device === 'cpu') return {};
  if (use.note !== undefined) {
    const entry = { device: use.device, provider: use.provider };
    if (use.device === 'auto') log.info(entry, use.note);
    else log.warn(entry, use.note);
  }
  return { device: use.provider, ...(use.note === undefined ? {} : { deviceNote: use.note }) };
}

/**
 * Calls the engine; where its memory does not suffice, again with half the micro-batch, down to `fewestMicroBatchTokens`. That changes speed and memory;
 * bits only of gradients, and there only where a prompt's samples no longer fit into one group: sums are then taken in another order. The micro-batch
 * that fitted is returned, to be recorded.
 */
export async function withinMemory<T>(
  dependencies: GpuDependencies,
  settings: EngineSettings,
  call: (engine: KillableEngine) => Promise<T>,
): Promise<{ result: T; microBatchTokens: number }> {
  const key = JSON.stringify(settings);
  let microBatchTokens = fitting.get(key) ?? settings.microBatchTokens;
  for (;;) {
    try {
      const result = await call(dependencies.engineFor({ ...settings, microBatchTokens }));
      fitting.set(key, microBatchTokens);
      return { result, microBatchTokens };
    } catch (error) {
      const outOfMemory = error instanceof ApplicationFailure && error.type === 'Engine.outOfMemory';
      if (!outOfMemory || microBatchTokens / 2 < fewestMicroBatchTokens) throw error;
      dependencies.log.warn(
        { microBatchTokens, cause: error.message },
        'out of memory: again with half the micro-batch',
      );
      microBatchTokens = Math.floor(microBatchTokens / 2);
    }
  }
}

/** The same, with the figures of the call that a step keeps: its seconds, the engine's memory, and where it ran. */
export async function measuredWithinMemory<T>(
  dependencies: GpuDependencies,
  settings: EngineSettings,
  call: (engine: KillableEngine) => Promise<T>,
): Promise<{ value: T; figures: Record<string, number | string>; microBatchTokens: number }> {
  const startedAt = performance.now();
  const { result, microBatchTokens } = await withinMemory(dependencies, settings, async (engine) => ({
    value: await call(engine),
    figures: { peakMemoryBytes: await engine.peakMemoryBytes(), ...deviceFigures(dependencies, engine) },
  }));
  const figures = { seconds: (performance.now() - startedAt) / 1000, ...result.figures };
  return { value: result.value, figures, microBatchTokens };
}

/** What fitted before in this process, so that each shard does not run out of memory anew. */
const fitting = new Map<string, number>();

/** A micro-batch holds at least one sequence whatever the limit: below this nothing gets smaller. */
const fewestMicroBatchTokens = 64;

/** Failures that retrying can't mend are marked so; all others go by the retry policy. */
export function asFailure(error: unknown): unknown {
  if (error instanceof EngineError) {
    const nonRetryable = error.kind === 'invalidInput' || error.kind === 'notFinite';
    return ApplicationFailure.create({
      message: error.message,
      type: `Engine.${error.kind}`,
      nonRetryable,
      // The engine process's stack is a text: as a cause it would hide the message.
      details: typeof error.cause === 'string' ? [error.cause] : [],
    });
  }
  return error;
}

/** A failure that only the operator can mend. */
export function operatorFailure(type: string, message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, type);
}
