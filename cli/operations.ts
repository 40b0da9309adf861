/**
 * What the commands need from the rest of CADA: the seam between the command line (arguments, texts, exit codes) and the parts that start servers,
 * workers and workflows. `launch.ts` implements it; tests may put another in its place.
 */
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { Check } from '../infra/doctor/check.ts';
import type { Garbage } from '../infra/artifacts/garbage.ts';
import type { Verification, VerifyOptions } from '../infra/artifacts/verify.ts';
import type { AskedDecision } from '../alignment/governance/decision.ts';
import type { Headline } from '../alignment/evaluation/comparison.ts';
import type { Exposure } from '../alignment/evaluation/exposure.ts';
import type { Rate } from '../alignment/evaluation/figures.ts';
import type { ReportedExposure } from '../alignment/report/reportData.ts';
import type { PlannedStage } from '../alignment/plan/plannedStage.ts';
import type { ToldRelease } from './operate/release.ts';
import type { ProgressSnapshot } from './progress/snapshot.ts';

export interface CadaOperations {
  /** Starts or goes on with a run. Resolves when it has ended, waits for its operator, or (detached) has been handed over. */
  train(request: TrainRequest, report: RunReporter): Promise<TrainOutcome>;
  /** Follows a run on an external Temporal server until it ends or the signal is aborted. */
  watch(request: RunRequest, report: RunReporter): Promise<TrainOutcome>;
  /** Live progress of a run whose server is up; undefined where none is. Quick: gives up within a second or two. */
  progress(request: RunRequest): Promise<ProgressSnapshot | undefined>;
  /** Pauses, resumes, ... a run on its server; answers with the workflow's sentence. */
  control(request: RunRequest & { by: string }, verb: ControlVerb, ...args: ControlArgument): Promise<string>;
  /** Changes the course of a run that has ended, in the store; `train` then goes on with it. Answers with a sentence. */
  changeEnded(request: RunRequest & { by: string }, asked: AskedCourse): Promise<string>;
  /** Makes a run that branches off another one, for `train` to go on with. Answers with its id. */
  fork(request: ForkRequest): Promise<string>;
  /** Serves one task queue until the signal is aborted. */
  work(request: WorkRequest): Promise<void>;
  /** Checks machine, Node, Temporal, store, model, disk and memory; downloads nothing. */
  examine(request: { storeUri: string; home: string }): Promise<Check[]>;
  /** One request answered by the untouched model with nothing, with codes, with codes and cases. */
  tryRequest(request: {
    text: string;
    configuration: Configuration;
    report: (line: string) => void;
  }): Promise<Answer[]>;
  /** One request answered by the base and by the aligned model of a run. */
  ask(request: RunRequest & { text: string; report: (line: string) => void }): Promise<Answer[]>;
  /** Chains of one iteration (or of 'warmStart', 'before', 'after') with their rewards, in the order of the plan. */
  chains(request: Omit<RunRequest, 'signal' | 'home'> & ChainSelection): Promise<ChainView[]>;
  /** Writes the report, the adapter and the merged model of a run below its folder in CADA_HOME; what is there already is kept. */
  deliver(request: Omit<RunRequest, 'signal'>): Promise<DeliveredFiles>;
  /** What a run has come to. */
  summarise(request: Omit<RunRequest, 'signal'>): Promise<RunSummary>;
  /** Reads everything a run has left again and compares digests. */
  verify(request: Omit<RunRequest, 'home'> & Omit<VerifyOptions, 'signal'>): Promise<Verification>;
  /** Finds what no run in the store needs; with `remove` removes it, unless there are refusals. */
  collectGarbage(request: GarbageRequest): Promise<CollectedGarbage>;
  /** Serves the Temporal UI of a finished embedded run until the signal is aborted. */
  serveUi(request: RunRequest, showAddress: (address: string) => void): Promise<void>;
}

export interface RunRequest {
  runId: string;
  storeUri: string;
  /** Absolute `CADA_HOME`. */
  home: string;
  signal: AbortSignal;
}

export interface GarbageRequest {
  storeUri: string;
  home: string;
  olderThanMs: number;
  keepSteps: boolean;
  /** Runs whose records go too. */
  forget: string[];
  remove: boolean;
  onProgress?: (removed: { objects: number; bytes: number }) => void;
}

export interface CollectedGarbage {
  garbage: Garbage;
  /** Undefined where nothing was to be removed, or refused. */
  removed?: { objects: number; bytes: number; steps: number };
}

export interface ForkRequest extends Omit<RunRequest, 'signal' | 'home'> {
  /** Iteration of the other run after which this one begins; 0 = where its iterations begin. */
  from: number;
  configuration: Configuration;
  by: string;
}

/** Another course for a run: see workflows/messages.ts. */
export type AskedCourse =
  | { kind: 'extend'; more: number }
  | { kind: 'rollBack'; rollBackTo: number }
  | { kind: 'settings'; changes: Record<string, number> };

export interface TrainRequest extends RunRequest {
  configuration: Configuration;
  /** Hand the run to an external Temporal server and its workers, and return. */
  detach: boolean;
  /** Stay when the run waits for its operator. */
  wait: boolean;
  /** Who gives the command, for the audit log. */
  by: string;
}

export interface TrainOutcome {
  state: ProgressSnapshot['state'];
  /** Why it waits or failed. */
  cause?: string;
  /** An earlier command had ended the run: nothing was left to do. */
  foundDone?: boolean;
}

/** Where an operation tells what is going on. */
export interface RunReporter {
  snapshot(snapshot: ProgressSnapshot): void;
  /** @param importance routine: what is as expected, for those who ask for every detail. @default notable */
  line(text: string, importance?: 'routine' | 'notable'): void;
  uiAddress(address: string): void;
}

export const workerKinds = ['control', 'gpu', 'judge'] as const;
export type WorkerKind = (typeof workerKinds)[number];

export interface WorkRequest {
  kind: WorkerKind;
  storeUri: string;
  home: string;
  signal: AbortSignal;
}

export type ControlVerb =
  | 'pause'
  | 'resume'
  | 'retryStage'
  | 'stopAfterIteration'
  | 'stopRun'
  | 'cancelRun'
  | 'skipBackOff'
  | 'changeSettings'
  | 'rollBack'
  | 'extend'
  | 'approve'
  | 'reject';
/** What the last five need: settings by name, the iteration to go back to, how many more, a decision. */
export type ControlArgument = (number | Record<string, number> | AskedDecision)[];

export interface Answer {
  /** 'nothing', 'codes', 'codes and cases'; 'base', 'aligned'. */
  label: string;
  text: string;
  /** The parts of the text; no analysis where the chain format is not kept. */
  analysis: string;
  finalResponse: string;
  seconds: number;
}

export interface ChainSelection {
  /** Number of an iteration (0: the warm start), or 'warmStart', 'before', 'afterWarmStart', 'after'. */
  of: number | string;
  /** Only requests of this kind: 'harmful', 'plain', 'look-alike'. */
  kind?: string;
  limit: number;
}

export interface ChainView {
  /** Its name within the run: what `cada mark` takes. */
  id: string;
  requestId: string;
  kind: string;
  category?: string;
  sample: number;
  request: string;
  chain: string;
  finish: string;
  /** null = unscorable. */
  reward: number | null;
  /** The parts that the reward is the weighted sum of. */
  rewardParts: Record<string, number>;
  refused?: boolean;
}

export interface ExposureSummary {
  withheld: string[];
  /** Of those evaluations that there are. */
  evaluations: { name: string; refusal: Record<Exposure, Record<'harmful' | 'look-alike', Rate | null>> }[];
  /** Once the run is evaluated at its end: paired, request by request. */
  changes?: Omit<ReportedExposure, 'withheld'>;
}

export interface RunSummary {
  /** Finished ones. */
  iterations: number;
  split: Configuration['evaluation']['split'];
  /** 'before', 'warm start', 'after', those that there are; `rates`: the shares among their figures, with intervals. */
  evaluations: { name: string; figures: Record<string, number>; rates?: Record<string, Rate> }[];
  headlines: Headline[];
  /** Where hazards are withheld: refusals by whether a request's hazard was, with intervals. */
  exposure?: ExposureSummary;
  /** 0 is the warm start. */
  byIteration: { iteration: number; adapterSha256: string; figures: Record<string, number> }[];
  planned: PlannedStage[];
  /** Seconds by stage. */
  spent: Record<string, number>;
  peakMemoryBytes: Record<string, number>;
  /** Where the configuration has a section `release`, and the run has come so far. */
  release?: ToldRelease;
  /** What had to be decided to get the model, such as a fallback that was taken. */
  modelNotes?: string[];
  adapterSha256?: string;
}

export interface DeliveredFiles {
  /** The self-contained HTML file; undefined while there is none. */
  report?: string;
  /** PEFT adapter folder. */
  adapter?: string;
  /** Merged safetensors folder. */
  merged?: string;
}
