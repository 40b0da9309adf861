/** Everything that the report of a run shows, as plain values: the activity gathers it from the store, the report renders it. */
import type { ScoredChain } from '../chains/chain.ts';
import type { Configuration } from '../configuration/schema.ts';
import type { Comparison, Headline } from '../evaluation/comparison.ts';
import type { Exposure } from '../evaluation/exposure.ts';
import type { FaithfulnessFigures } from '../evaluation/faithfulness.ts';
import type { EvaluationFigures } from '../evaluation/figures.ts';
import type { AnswerLoss } from '../evaluation/utility.ts';
import type { ReleaseVerdict } from '../governance/releaseCriteria.ts';
import type { MethodDecision } from '../preferences/chooseMethod.ts';
import type { SafetyRequest } from '../library/library.ts';
import type { CardRelease } from './releaseCard.ts';
import type { RunEstimate } from '../plan/estimateRun.ts';

/** An answer of one evaluation, with what it was scored. */
export interface ReportedAnswer {
  requestId: string;
  category: string;
  request: string;
  text: string;
  scored: ScoredChain;
}

export interface ReportedFaithfulness {
  /** Who told refusals. */
  judge: string;
  figures: FaithfulnessFigures;
}

export interface ReportedEvaluation {
  /** 'before', 'warm start', 'after'. */
  name: string;
  figures: EvaluationFigures;
  /** Harmful and look-alike requests by whether their hazard was withheld; absent where none was. */
  byExposure?: Record<Exposure, EvaluationFigures>;
  answers: ReportedAnswer[];
  /** Losses on the untouched model's own answers to harmless requests. */
  losses?: AnswerLoss[];
  /** Whether answers follow analyses; absent where that was not measured. */
  faithfulness?: ReportedFaithfulness;
  /** Public benchmarks, each by itself. */
  benchmarks?: { name: string; figures: EvaluationFigures; answers: ReportedAnswer[] }[];
  /** Digest of the evaluation artifact. */
  sha256: string;
}

/** A chain that was trained on. */
export interface ReportedChain {
  /** Its name within the run (feedback/chainName.ts). */
  name: string;
  request: SafetyRequest;
  text: string;
  scored: ScoredChain;
}

export interface ReportedIteration {
  iteration: number;
  epoch: number;
  /** Names as TRL has them: reward, reward_std, rewards/<part>/mean, kl, entropy, grad_norm, completions/mean_length, probe/..., see RunRecord. */
  figures: Record<string, number>;
  seconds: Record<string, number>;
  adapterSha256: string;
  parentSha256: string | null;
  artifacts: { name: string; sha256: string; uri: string }[];
}

type ToldDecision = NonNullable<CardRelease['decision']>;

/** A validator's decision; `givenUp`: the cycle is none of those that the run's policy comes from. */
export type ReportedDecision = MethodDecision & { givenUp: boolean };

/** What a run has used; times and memory stand in fields of their own. */
export interface ReportedUse {
  generatedTokens: number;
  /** null = not counted. */
  trainedTokens: number | null;
  storeBytes: number;
  /** Of the run's activities; absent where nobody has counted. */
  storeRequests?: number;
  /** Without heartbeats; absent where the run's histories could not be read. */
  temporalActions?: number;
  /** Sent to the Temporal server; absent where nobody has counted. */
  heartbeats?: number;
  /** Of a judge behind an endpoint, by the rewards of iterations, warm start and evaluations; absent where none was asked. */
  judge?: { asked: number; kept: number; cost: number; meanLatencyMs: number };
}

export interface ReportedExposure {
  withheld: string[];
  fromBefore: Record<Exposure, Comparison>;
  fromWarmStart?: Record<Exposure, Comparison>;
}

export interface ReportData {
  runId: string;
  state: string;
  configuration: Configuration;
  configurationSha256: string;
  librarySha256: string;
  model: { name: string; baseModelName: string; origin: string; digest: string; notes: string[] };
  adapterSha256: string;
  headlines: Headline[];
  evaluations: ReportedEvaluation[];
  /** After against before, and after against warm start where that was evaluated. */
  fromBefore: Comparison;
  fromWarmStart?: Comparison;
  /** The same over all public benchmarks together; absent where the run was evaluated on none. */
  benchmarks?: { fromBefore: Comparison; fromWarmStart?: Comparison };
  /** The same on the hazards that the library withholds and on the others; absent where it withholds none. */
  exposure?: ReportedExposure;
  /** Iteration 0 is the warm start. */
  iterations: ReportedIteration[];
  /** Chains of the last iteration, of the warm start where there is none; absent where neither drew any. */
  training?: { set: string; chains: ReportedChain[] };
  /** What its operator or its guard changed about the run while it was at work. Its rejected iterations are not among `iterations`. */
  course?: { told: string; by: string; at: string; epoch: number; iteration: number }[];
  /** How the release's criteria were judged, and what was decided. */
  release?: { status: string; verdict: ReleaseVerdict; decision?: ToldDecision };
  /** What the validator of an iterative preference run has decided, cycle by cycle. */
  validator?: ReportedDecision[];
  /** Seconds by stage, as the run measured them. */
  wallSeconds: Record<string, number>;
  peakMemoryBytes: Record<string, number>;
  /** As `cada plan` tells it. */
  planned: RunEstimate;
  used: ReportedUse;
  exported: { path: string; sha256: string; bytes: number }[];
  versions: Record<string, string>;
}
