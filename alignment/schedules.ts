/** Learning rates by optimizer step, as Transformers schedules them. */
import type { Configuration } from './configuration/schema.ts';

export interface ScheduleSettings {
  schedule: Configuration['iteration']['schedule'];
  /** Peak. */
  learningRate: number;
  /** Part of `totalSteps` in which the rate rises from 0. */
  warmupRatio: number;
}

/**
 * The learning rate of optimizer step `step`, counted from 1 (transformers/optimization.py, get_*_schedule_with_warmup; TrainingArguments rounds the
 * number of warm-up steps up). With warm-up the first step has rate 0; cosine and linear approach 0 after the last.
 * @throws RangeError for a step outside 1 .. totalSteps: Transformers' cosine would rise again there.
 */
export function scheduledLearningRate(settings: ScheduleSettings, step: number, totalSteps: number): number {
  if (!(step >= 1 && step <= totalSteps)) {
    throw new RangeError(`optimizer step ${step} lies outside the schedule's 1 to ${totalSteps}`);
  }
  const done = step - 1;
  const warmupSteps = Math.ceil(settings.warmupRatio * totalSteps);
  if (done < warmupSteps) return settings.learningRate * (done / warmupSteps);
  switch (settings.schedule) {
    case 'constant':
      return settings.learningRate;
    case 'linear':
      return settings.learningRate * ((totalSteps - done) / (totalSteps - warmupSteps));
    case 'cosine': {
      const progress = (done - warmupSteps) / (totalSteps - warmupSteps);
      return settings.learningRate * 0.5 * (1 + Math.cos(Math.PI * progress));
    }
  }
}
