/** What the run asks of its operator: whether it may go on, what to do about a stage that failed for good, and whether it has been given another course. */
import { ApplicationFailure, CancellationScope, condition, log } from '@temporalio/workflow';
import { noteRecord, showCard, type RunAtWork } from './runMemory.ts';
import type { PolicyState } from '../activities/types.ts';

/** What is at work was given up for another course of the run. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

export interface NewCourse {
  rollBackTo: number;
  policy: PolicyState;
}

export class Operator {
  activeChild: string | null = null;
  stopAfterIteration = false;
  answer: 'retry' | 'stop' | null = null;
  newCourse: NewCourse | null = null;
  readonly #work: RunAtWork;
  #atWork: CancellationScope | undefined;

  constructor(work: RunAtWork) {
    this.#work = work;
  }

  /** Gives up what is at work, and goes on elsewhere. */
  interrupt(course: NewCourse): void {
    this.newCourse = course;
    this.#atWork?.cancel();
  }

  throwIfInterrupted(): void {
    if (this.newCourse) throw new Interrupted();
  }

  /** @throws Interrupted where another course was given meanwhile. */
  async interruptible<T>(work: () => Promise<T>): Promise<T> {
    this.throwIfInterrupted();
    this.#atWork = new CancellationScope({ cancellable: true });
    try {
      return await this.#atWork.run(work);
    } catch (error) {
      this.throwIfInterrupted();
      throw error;
    } finally {
      this.#atWork = undefined;
      this.activeChild = null;
    }
  }

  async mayProceed(): Promise<void> {
    this.throwIfInterrupted();
    const { progress } = this.#work.memory;
    if (progress.state !== 'paused') return;
    showCard(this.#work);
    await noteRecord(this.#work);
    await condition(() => progress.state !== 'paused' || this.newCourse !== null);
    this.throwIfInterrupted();
  }

  /** Waits for the operator after a stage has failed for good. Returns to retry; throws to stop, or to go elsewhere. */
  async decide(stage: string, error: unknown): Promise<void> {
    const { progress } = this.#work.memory;
    // Before the run is seen to wait: an answer may come while the record is still being saved.
    this.answer = null;
    progress.state = 'waiting';
    progress.cause = `${stage}: ${rootCause(error).message}`;
    log.error('A stage has failed for good; the run waits for its operator', { stage, cause: progress.cause });
    showCard(this.#work);
    await noteRecord(this.#work);
    await condition(() => this.answer !== null || this.newCourse !== null);
    const cause = progress.cause;
    delete progress.cause;
    if (this.newCourse === null && this.answer === 'stop') {
      progress.state = 'failed';
      progress.cause = cause;
      showCard(this.#work);
      await noteRecord(this.#work);
      throw ApplicationFailure.nonRetryable(`stopped by the operator after: ${cause}`, 'StoppedByOperator');
    }
    progress.state = 'running';
    this.throwIfInterrupted();
  }
}

/** The failure at the bottom: what an activity threw. */
export function rootCause(error: unknown): Error {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  return cause instanceof Error ? cause : new Error(String(cause));
}
