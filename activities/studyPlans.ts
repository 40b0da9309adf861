/** What a study is worked off by: its plan and its records in the store. Everything that travels is small: references and a number. */
import type { InferenceArm } from '../alignment/study/inferenceArm.ts';
import type { MeasuredUnit } from '../alignment/study/studyFigures.ts';
import type { Study, StudyUnit } from '../alignment/study/studySchema.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../infra/artifacts/digest.ts';
import type { ArtifactRef, PolicyState, RunContext, RunPlan } from './types.ts';

/** Names a study to its workflow and activities. */
export interface StudyInput {
  studyId: string;
  /** StudyPlan. */
  plan: ArtifactRef;
  units: number;
  parallel: number;
}

export interface StudyPlan {
  study: Study;
  /** JSON Lines of SuiteQuestion, the same for every unit. */
  questions: ArtifactRef;
  judge?: ArtifactRef;
  /** GuardModelSettings; absent = no guard model is asked. */
  guard?: ArtifactRef;
  /** Questions that stand among what arms are trained or prompted with; absent in plans of older versions. */
  contamination?: ArtifactRef;
  /** StoredHazards, told by the libraries before anything is left out of them; absent where nothing is, and in plans of older versions. */
  hazards?: ArtifactRef;
  /** SearchedAttacks; absent = none is searched for. */
  attacks?: ArtifactRef;
  units: PlannedUnit[];
}

export interface PlannedUnit extends StudyUnit {
  /** What its answers are computed by. */
  evaluation: RunContext;
  inference?: InferenceArm;
  /** The run that trains it. */
  training?: { run: RunContext; plan: RunPlan };
}

/** A unit as the workflow takes it up. */
export interface OpenedUnit
  extends Pick<StudyPlan, 'questions' | 'judge' | 'guard' | 'attacks'>, Omit<PlannedUnit, keyof StudyUnit> {
  id: string;
  /** Its figures are in the store. */
  done: boolean;
  /** Whether its answers follow its analyses is measured too. */
  faithfulness?: true;
  /** What its run has come to, where that is in the store already. */
  policy?: PolicyState;
}

/** What the evaluation of a unit has left. */
export interface AnsweredUnit {
  unit: number;
  result: ArtifactRef;
  /** Of the answers' generation. */
  generation: ArtifactRef;
  policy: PolicyState;
}

/** `studies/<id>/<unit>.json`: everything that the figures need of a unit. No text of a dataset or a model is in it. */
export interface UnitRecord extends MeasuredUnit {
  unit: string;
  /** ISO time. */
  at: string;
  modelName: string;
  modelDigest: string;
  adapterSha256: string | null;
  maxNewTokens: number;
  rubricJudge: string | null;
  /** Name of the guard model; absent = none was asked. */
  guardJudge?: string;
  /** Every answer; absent of a unit that came from another store. */
  result?: ArtifactRef;
  runId?: string;
}

export interface FailedUnit {
  unit: string;
  cause: string;
}

/** `studies/<id>.json`: what a study has come to. */
export interface StudyRecord {
  studyId: string;
  /** ISO time. */
  at: string;
  units: number;
  failed: FailedUnit[];
  page: ArtifactRef;
  json: ArtifactRef;
  markdown: ArtifactRef;
  latex: ArtifactRef;
  /** Digest of the hypotheses it tells of; absent = none. */
  hypotheses?: string;
  /** Digest of the hazards that its plan tells of; absent = none. */
  hazards?: string;
}

/** Hypotheses change the result of a study, and nothing that it is made of. */
export const hypothesesDigest = ({ hypotheses }: Pick<Study, 'hypotheses'>): string | undefined =>
  hypotheses && sha256(canonicalJson(hypotheses));

export const studyDocument = (studyId: string): string => `studies/${studyId}.json`;
export const unitDocument = (studyId: string, unit: string): string => `studies/${studyId}/${unit}.json`;
