/** Activities of the control queue: bookkeeping that needs no device. */
import type {
  IterationLineage,
  IterationMeasures,
  ReleaseState,
  RunContext,
  CourseRequest,
  ToldRecord,
  GenerationPurpose,
  PolicyState,
  ArtifactRef,
} from './types.ts';
import { noteAudit, type ToldAudit } from './noteAudit.ts';
import { chooseMethod, type ValidatedPolicy } from './chooseMethod.ts';
import { planBadBeliefs } from './badBeliefs.ts';
import { changeCourse } from './changeCourse.ts';
import { collectChains } from './collectChains.ts';
import { collectDrafts, type DraftsInput } from './collectDrafts.ts';
import { collectRewards } from './collectRewards.ts';
import { deliberate, type DeliberationInput } from './deliberate.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { planContrastPairs, planSplices, summariseFaithfulness, type ScoredChains } from './faithfulness.ts';
import { archiveHistories } from './histories.ts';
import type { HistoryOwner } from '../infra/artifacts/runs.ts';
import { planPreferences, type PreferencesInput } from './planPreferences.ts';
import { planPreferenceUpdate } from './planPreferenceUpdate.ts';
import { planUpdate } from './planUpdate.ts';
import { planWarmStart } from './planWarmStart.ts';
import { planWrittenChains } from './planWrittenChains.ts';
import { prepareModel } from './prepareModel.ts';
import { prepareGuardModel } from './prepareGuardModel.ts';
import { withPulse } from './pulse.ts';
import { recordIteration, saveRun } from './records.ts';
import { concludeRelease, judgeRelease, type JudgedRelease, type ReleaseInput } from './release.ts';
import { sampleCases } from './sampleCases.ts';
import { requestCancellation, skipBackOff } from './serverRequests.ts';
import type { PreferenceScoring } from './scorePreferences.ts';
import type { AnsweredUnit, FailedUnit, StudyInput } from './studyPlans.ts';
import { summariseStudy } from './studyResult.ts';
import { openStudyUnit, recordStudyUnit } from './studyUnits.ts';
import { summariseEvaluation, type EvaluationParts } from './summariseEvaluation.ts';
import { writeReport } from './writeReport.ts';

export function createControlActivities(dependencies: ActivityDependencies) {
  const bookkeeping = withPulse({
    /** Requests of an evaluation: no codes, no cases. */
    selectRequests: (run: RunContext, purpose: GenerationPurpose) => sampleCases(dependencies, run, purpose),
    sampleCases: (run: RunContext, purpose: GenerationPurpose, model?: ArtifactRef) =>
      sampleCases(dependencies, run, purpose, model),
    collectChains: (run: RunContext, input: { plan: ArtifactRef; policy: PolicyState }) =>
      collectChains(dependencies, run, input),
    collectDrafts: (run: RunContext, input: DraftsInput) => collectDrafts(dependencies, run, input),
    collectRewards: (run: RunContext, input: { chains: ArtifactRef }) => collectRewards(dependencies, run, input),
    planWrittenChains: (run: RunContext, input: { plan: ArtifactRef }) => planWrittenChains(dependencies, run, input),
    deliberate: (run: RunContext, input: DeliberationInput) => deliberate(dependencies, run, input),
    planWarmStart: (run: RunContext, input: { chains: ArtifactRef; rewards: ArtifactRef }) =>
      planWarmStart(dependencies, run, input),
    planUpdate: (run: RunContext, input: { iteration: number; chains: ArtifactRef; rewards: ArtifactRef }) =>
      planUpdate(dependencies, run, input),
    planBadBeliefs: (run: RunContext, input: { plan: ArtifactRef }) => planBadBeliefs(dependencies, run, input),
    planPreferences: (run: RunContext, input: PreferencesInput) => planPreferences(dependencies, run, input),
    planPreferenceUpdate: (run: RunContext, input: PreferenceScoring & { iteration: number }) =>
      planPreferenceUpdate(dependencies, run, input),
    chooseMethod: (run: RunContext, input: ValidatedPolicy) => chooseMethod(dependencies, run, input),
    planContrastPairs: (run: RunContext) => planContrastPairs(dependencies, run),
    planSplices: (run: RunContext, input: { chains: ArtifactRef }) => planSplices(dependencies, run, input),
    summariseFaithfulness: (run: RunContext, input: { own: ScoredChains; spliced?: ScoredChains }) =>
      summariseFaithfulness(dependencies, run, input),
    summariseEvaluation: (run: RunContext, input: EvaluationParts) => summariseEvaluation(dependencies, run, input),
    saveRun: (run: RunContext, record: ToldRecord, release?: ReleaseState) =>
      saveRun(dependencies, run, record, release),
    recordIteration: (run: RunContext, lineage: IterationLineage, measures: IterationMeasures) =>
      recordIteration(dependencies, run, lineage, measures),
    changeCourse: (run: RunContext, request: CourseRequest) => changeCourse(dependencies, run, request),
    judgeRelease: (run: RunContext, input: ReleaseInput) => judgeRelease(dependencies, run, input),
    concludeRelease: (run: RunContext, input: JudgedRelease) => concludeRelease(dependencies, run, input),
    noteAudit: (run: RunContext, told: ToldAudit) => noteAudit(dependencies, run, told),
    skipBackOff: (workflowIds: string[]) => skipBackOff(workflowIds),
    requestCancellation: (run: RunContext) => requestCancellation(run),
    archiveHistories: (run: Pick<RunContext, 'runId'>, executionId: string, owner?: HistoryOwner) =>
      archiveHistories(dependencies, run, executionId, owner),
    openStudyUnit: (study: StudyInput, unit: number) => openStudyUnit(dependencies, study, unit),
    recordStudyUnit: (study: StudyInput, unit: AnsweredUnit) => recordStudyUnit(dependencies, study, unit),
    summariseStudy: (study: StudyInput, failed: FailedUnit[]) => summariseStudy(dependencies, study, failed),
    writeReport: (run: RunContext, input: { exported: ArtifactRef }) => writeReport(dependencies, run, input),
  });
  // Its heartbeats tell the progress of its download.
  return {
    prepareModel: (run: RunContext) => prepareModel(dependencies, run),
    prepareGuardModel: (run: RunContext, input: { settings?: ArtifactRef }) =>
      prepareGuardModel(dependencies, run, input),
    ...bookkeeping,
  };
}

export type ControlActivities = ReturnType<typeof createControlActivities>;
