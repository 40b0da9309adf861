/** Drafting of cases: chains for labelled requests, by the policy or a teacher, under codes and cases that there are; judged, filtered, kept for review. */
import { setHandler } from '@temporalio/workflow';
import type { ArtifactRef, Figures, PolicyState, RunContext } from '../activities/types.ts';
import { writeChains } from './chainSources.ts';
import { generateAndReward } from './generation.ts';
import { prepareGuardModel } from './guarding.ts';
import { activeChildQuery, progressQuery } from './messages.ts';
import { startProgress } from './progress.ts';
import { control, preparation } from './stages.ts';
import { planWithVectors } from './vectors.ts';
import { endsOnItsBuild } from './versioning.ts';

export interface DraftingInput {
  /** Its library holds the requests as those of the training split, its configuration asks for all of them in the warm start. */
  run: RunContext;
  /** JSON list of the requests, with the pairs that they name. */
  requests: ArtifactRef;
  /** Absent = the untouched model that the configuration names. */
  policy?: PolicyState;
  /** A reward of the configuration asks a guard model. */
  guardModel?: true;
}

export interface DraftingOutcome {
  drafts: ArtifactRef;
  figures: Figures;
}

endsOnItsBuild(draftCases);

export async function draftCases({ run: asked, requests, ...input }: DraftingInput): Promise<DraftingOutcome> {
  const label = 'drafts';
  const progress = startProgress(asked.runId, 'prepare');
  setHandler(progressQuery, () => progress);
  setHandler(activeChildQuery, () => null);

  const policy = input.policy ?? {
    model: (
      await preparation.prepareModel.executeWithOptions({ summary: 'resolve, check and publish the model' }, [asked])
    ).model,
  };
  const run = input.guardModel ? { ...asked, guardModel: (await prepareGuardModel(asked)).model } : asked;
  const plan = await planWithVectors(run, policy.model, progress, () =>
    control.sampleCases.executeWithOptions({ summary: `${label}: sample codes and cases` }, [
      run,
      { kind: 'warmStart' },
      policy.model,
    ]),
  );
  const sourced = await writeChains(run, label, plan, policy, progress);
  const rewarded = await generateAndReward(run, label, sourced.plan, policy, progress);
  const { chains, rewards } = rewarded;
  const drafts = await control.collectDrafts.executeWithOptions({ summary: `${label}: filter` }, [
    run,
    { requests, chains, rewards, policy },
  ]);
  progress.stage = 'done';
  progress.state = 'done';
  return { drafts: drafts.artifact, figures: { ...sourced.figures, ...drafts.figures } };
}
