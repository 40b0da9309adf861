/** A full evaluation as a workflow of its own: its history can be read, reset and replayed apart from the run's. */
import { setHandler } from '@temporalio/workflow';
import { evaluate, type EvaluationOutcome } from './evaluation.ts';
import { progressQuery } from './messages.ts';
import { startProgress } from './progress.ts';
import { endsOnItsBuild } from './versioning.ts';
import type { ArtifactRef, PolicyState, RunContext } from '../activities/types.ts';

export interface EvaluationInput {
  run: RunContext;
  /** Which evaluation: 'before', 'warm start', 'after'. */
  name: string;
  policy: PolicyState;
  /** Chains of the untouched model's evaluation; absent = this is that evaluation. */
  answers?: ArtifactRef;
}

endsOnItsBuild(evaluatePolicy);

export async function evaluatePolicy({ run, name, policy, answers }: EvaluationInput): Promise<EvaluationOutcome> {
  const label = `evaluate ${name}`;
  const progress = startProgress(run.runId, label);
  setHandler(progressQuery, () => progress);
  return evaluate(run, label, { name, set: 'full' }, policy, progress, answers);
}
