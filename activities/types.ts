/**
 * What workflows and activities say to each other. Everything here is small plain data: references to artifacts, indices and a few figures; a
 * payload stays under 4 KB whatever the model's size or the number of shards.
 */
import type { ValidatorJudge } from '../alignment/configuration/validator.ts';
import type { GuardSettings } from '../alignment/guard/iterationGuard.ts';
import type { ArtifactRef } from '../infra/artifacts/artifactStore.ts';

export type { ArtifactRef };

/** Task queues: light bookkeeping, one slot a device, and judges with their own limits. */
export const taskQueues = { control: 'cada-control', gpu: 'cada-gpu', judge: 'cada-judge' } as const;
export type WorkerKind = keyof typeof taskQueues;

/** What every activity of a run needs to find the run's inputs. */
export interface RunContext {
  runId: string;
  /** The validated configuration, canonical JSON. */
  configuration: ArtifactRef;
  /** The files of the library as one JSON object, path -> text. */
  library: ArtifactRef;
  /** The published guard model (ModelManifest), once it is prepared; absent = none is asked. */
  guardModel?: ArtifactRef;
}

/** What of the configuration the workflow itself goes by. */
export interface RunPlan {
  warmStart: boolean;
  evaluateAfterWarmStart: boolean;
  iterations: number;
  klReference: 'warmStart' | 'base' | 'none';
  probe: boolean;
  /** Iterations train by preferences (`iteration.method`); the reference is theirs then. */
  preferences?: true;
  /** A validator chooses the method of each cycle, by this judge. */
  validator?: ValidatorJudge;
  guard?: GuardSettings;
  /** A guard model judges responses. */
  guardModel?: true;
  /** The final policy is promoted by criteria, or by a person. */
  release?: ReleasePlan;
}

export interface ReleasePlan {
  approval: boolean;
  timeoutHours?: number;
  onTimeout: 'reject' | 'wait' | 'approve-if-met';
}

/** What has been decided about the final policy. */
export interface ReleaseState {
  status: 'awaiting approval' | 'promoted' | 'rejected' | 'not promoted';
  /** Digest of the adapter, or of the weights, that it is about. */
  adapter: string;
  /** How the criteria were judged (ReleaseVerdict). */
  verdict: ArtifactRef;
  met: boolean;
  /** The same in a few words. */
  told: string;
  /** ISO times: when a person was asked, and until when. */
  askedAt?: string;
  deadline?: string;
  timedOut?: true;
  decision?: { outcome: 'approved' | 'rejected'; by: string; why: string; despite?: string; at: string };
}

/** What of its Temporal server a run must know. */
export interface ServerTraits {
  /** The namespace has the search attribute {@link stateAttribute}. */
  searchable: boolean;
  /** The server outlives the command that started the run: the run sees to its histories itself. */
  archive: boolean;
}

/** Search attribute (Keyword) with the state of a run: `CadaState = 'waiting'` lists those that wait for their operator. */
export const stateAttribute = 'CadaState';

/** The policy at one moment: which base model, which adapter on top of it. */
export interface PolicyState {
  model: ArtifactRef;
  /** `adapter_model.safetensors`; absent = the untouched base model. */
  adapter?: ArtifactRef;
  /** AdamW moments that go with the adapter. */
  optimizer?: ArtifactRef;
  /** What a validator has decided about it: the method of the cycle that starts from it. */
  decision?: ArtifactRef;
}

/** Why chains are generated; names the requests, the prompts and the seeds. */
export type GenerationPurpose =
  | { kind: 'evaluation'; name: string; set: 'full' | 'probe' }
  | { kind: 'warmStart' }
  | { kind: 'validation' }
  | { kind: 'iteration'; iteration: number; epoch: number; refill?: Refill };

/** Further requests for an iteration, in place of those whose groups had no signal. */
export interface Refill {
  missing: MissingGroups;
  /** Generation plans of the iteration so far: their requests are not drawn again. */
  after: ArtifactRef[];
}

/** Groups that are wanted and not there, by kind of their request. */
export interface MissingGroups {
  harmful: number;
  plain: number;
  lookAlike: number;
}

/** Chains and rewards of one round of an iteration. */
export interface IterationRound {
  plan: ArtifactRef;
  chains: ArtifactRef;
  rewards: ArtifactRef;
}

/** A plan artifact and the number of shards it is cut into. */
export interface ShardedPlan {
  plan: ArtifactRef;
  shards: number;
  /** Who writes the chains, where the policy does not sample them. */
  source?: 'teacher' | 'deliberation';
  /** Chains under a wrong belief are to be drawn for its requests too, to be rejected. */
  badBeliefs?: true;
  /** Of a full evaluation: whether the policy's answers follow its analyses is to be measured too. */
  faithfulness?: true;
  /** What the plan holds, for summaries and progress. */
  items: number;
  /** There is no plan yet: these texts must have vectors first, then it is to be made again. */
  unembedded?: UnembeddedTexts;
}

/** Texts that the untouched policy is to turn into vectors, cut into shards. */
export interface UnembeddedTexts {
  plan: ArtifactRef;
  shards: number;
}

/** An optimisation plan: one or more optimizer steps, each cut into gradient shards. */
export interface UpdatePlan {
  plan: ArtifactRef;
  /** Gradient shards of each optimizer step. */
  shardsPerStep: number[];
  sequences: number;
  figures: Figures;
  /** Groups to be drawn in place of those without signal; absent = none. */
  missing?: MissingGroups;
}

/** What a shard's activity reports: how much was done and how fast, never the outcome itself (that is in the store). */
export interface ShardReport {
  cached: boolean;
  tokens: number;
  seconds: number;
  peakMemoryBytes?: number;
}

/** A few named numbers. */
export type Figures = Record<string, number>;

export interface StageOutcome {
  artifact: ArtifactRef;
  figures: Figures;
}

export interface UpdateOutcome {
  policy: PolicyState;
  figures: Figures;
  cached: boolean;
  seconds: number;
}

/** What a trained policy came from: artifacts, by reference. */
export interface IterationLineage {
  epoch: number;
  iteration: number;
  parent: string | null;
  policy: PolicyState;
  plan: ArtifactRef | null;
  chains: ArtifactRef | null;
  rewards: ArtifactRef | null;
  /** Rounds that were drawn in place of groups without signal. */
  refills?: IterationRound[];
  /** What was preferred to what, where the step was one of DPO or KTO. */
  preferences?: ArtifactRef;
  /** The validator's decision about the policy that the iteration ends with. */
  validation?: ArtifactRef;
  updatePlan: ArtifactRef | null;
  evaluation: ArtifactRef | null;
}

/** What was measured on the way. */
export interface IterationMeasures {
  figures: Figures;
  seconds: Figures;
  /** By the clock, from the child's start; absent in records of older versions. */
  wallSeconds?: number;
  /** The engine's largest resident memory; 0 where no shard has told. */
  peakMemoryBytes: number;
}

/** One finished iteration, as the run's lineage lists it: written by the child workflow, in two parts so that each payload stays small. */
export interface IterationRecord extends IterationLineage, IterationMeasures {
  /** The configuration that it was computed by: settings may be changed while a run is at work. Absent in records of older versions. */
  configuration?: ArtifactRef;
  /** The name that the history of its workflow has in the store. */
  history?: string;
}

/** Who asks something of a run, as updates carry it. */
export interface Asked {
  /** A name of 1 to 100 characters. */
  by?: string;
}

/** What is asked of a run's course: settings changed, iterations given up or added. */
export interface CourseRequest {
  /** Counts the changes of a run, from 1. */
  number: number;
  kind: 'settings' | 'rollBack' | 'extend' | 'fork' | 'stop';
  by: 'operator' | 'guard';
  /** The operator's name; of a change without one its sender, as the server has it. */
  operator?: string;
  /** Id of the update that asks: without a name its sender is noted. */
  updateId?: string;
  /** Where the run stands: epoch, and finished iterations. */
  epoch: number;
  iteration: number;
  /** Why the guard asks. */
  cause?: string;
  /** Iteration to go back to; the epoch rises. */
  rollBackTo?: number;
  changes?: Figures;
  /** The learning rate is multiplied by it. */
  rateFactor?: number;
  /** Iterations to add. */
  more?: number;
}

/** A change of a run's course, as `runs/<id>/course/<number>.json` keeps it. */
export interface CourseChange extends Omit<CourseRequest, 'changes' | 'rateFactor' | 'updateId'> {
  /** ISO time. */
  at: string;
  /** A sentence that says what was done. */
  told: string;
  /** By name: the values before and after; null = absent. */
  settings: Record<string, { from: number | null; to: number }>;
  /** The configuration from here on. */
  configuration: ArtifactRef;
  /** The iteration that the run went back to. */
  returnedTo?: { epoch: number; iteration: number };
  forkedFrom?: { runId: string; epoch: number; iteration: number };
}

export interface CourseOutcome {
  told: string;
  configuration: ArtifactRef;
  plan: RunPlan;
  /** Of the iteration gone back to; absent for 0: what the iterations started from is the run's to know. */
  policy?: PolicyState;
}

/** What the run itself needs of a finished iteration. */
export interface TrainedPolicy extends Pick<IterationMeasures, 'figures' | 'peakMemoryBytes'> {
  policy: PolicyState;
  /** Early stop by the validator: why the policy is given up. */
  rejected?: string;
}

/** A stage that has ended, for progress, status and the report. */
export interface FinishedStage {
  stage: string;
  seconds: number;
  cached: boolean;
  figures?: Figures;
}

export type RunState =
  'running' | 'paused' | 'waiting' | 'done' | 'failed' | 'stopped' | 'cancelled' | 'awaiting approval';

/** Snapshot of a run, answered by the `progress` query and kept in the run's record. */
export interface RunProgress {
  runId: string;
  state: RunState;
  stage: string;
  iteration: number;
  iterations: number;
  shardsDone: number;
  shardsTotal: number;
  tokensPerSecond?: number;
  meanReward?: number;
  /** Of a study, among `iteration`: units that it has made itself. The others were there already, or came to nothing. */
  unitsMade?: number;
  /** Why the run waits or failed. */
  cause?: string;
  notes: string[];
  finishedStages: FinishedStage[];
}

/** What is known of a run, kept in the store at `runs/<id>/run.json`: `cada status` and `cada report` read it when no server is up. */
export interface RunRecord {
  runId: string;
  configuration: ArtifactRef;
  library: ArtifactRef;
  state: RunState;
  stage: string;
  iteration: number;
  iterations: number;
  cause?: string;
  policy?: PolicyState;
  /** 'before', 'warm start', 'after' -> figures and the artifact they come from. */
  evaluations: Record<string, { artifact: ArtifactRef; figures: Figures }>;
  /** Manifest of the exported folders. */
  exported?: ArtifactRef;
  report?: ArtifactRef;
  wallSeconds: Figures;
  peakMemoryBytes: Figures;
  /** Rises at each roll-back. This and what follows is absent in records of older versions. */
  epoch?: number;
  /** Adapter that the iterations started from: warm-started, or fresh. */
  originAdapter?: ArtifactRef;
  /** Chains of the untouched model's evaluation: what utility is measured on. */
  baseAnswers?: ArtifactRef;
  /** How many changes of its course the run has seen. */
  courseChanges?: number;
  forkedFrom?: { runId: string; epoch: number; iteration: number };
  /** Where the configuration has a section `release`. */
  release?: ReleaseState;
}

/** What the workflow tells of its record, but for its release; the rest follows from the run or stays as it is. */
export type ToldRecord = Omit<RunRecord, 'runId' | 'configuration' | 'library' | 'forkedFrom' | 'release'>;
