/** Everything that a safety report shows, as plain values from the lineage of a run. */
import type { Decontamination } from '../benchmarks/decontaminate.ts';
import type { Configuration } from '../configuration/schema.ts';
import type { Comparison, Headline } from '../evaluation/comparison.ts';
import type { Mark } from '../feedback/marks.ts';
import type { Agreement } from '../judges/agreement.ts';
import type { Library, RequestKind } from '../library/library.ts';
import type { ReportData, ReportedEvaluation } from '../report/reportData.ts';

/** Requests that chains were drawn for, each once, in one part of the training. */
export interface TrainedRequests {
  /** 'warm start', 'iterations'. */
  part: string;
  requests: { id: string; kind: RequestKind; category: string }[];
  chains: number;
}

/** Texts of the library against the benchmarks that came with it. */
export interface ContaminationCount {
  source: string;
  benchmark: string;
  texts: number;
  exact: number;
  near: number;
  /** A run of words in common. */
  run: number;
}

export interface JudgeFacts {
  name: string;
  /** What its word decides. */
  decides: string;
  /** With labels of people that came with the library; absent = none is known of it. */
  agreement?: Agreement;
}

/** What was decided about the run, as its audit log has it. */
export interface AuditFacts {
  entries: { number: number; at: string; who: string; what: string; why?: string }[];
  /** Where the chain of digests breaks; absent = it is whole. */
  broken?: { number: number; fault: string };
  head?: { number: number; sha256: string };
}

export interface SafetyData {
  runId: string;
  state: string;
  /** Why it waits or failed. */
  cause?: string;
  /** ISO times of the record. */
  startedAt?: string;
  savedAt: string;
  configuration: Configuration;
  configurationSha256: string;
  librarySha256: string;
  library: Library;
  /** SHA-256 of the library's files, by path. */
  libraryFiles: Record<string, string>;
  model: ReportData['model'];
  adapterSha256: string | null;
  iterations: number;
  trained: TrainedRequests[];
  /** Figures of the warm start: what its filters kept, who wrote. */
  warmStartFigures: Record<string, number>;
  contamination: ContaminationCount[];
  /** What was left out of the library before the run began; absent = it was not asked for. */
  decontamination?: Decontamination;
  judges: JudgeFacts[];
  evaluations: ReportedEvaluation[];
  /** Where the run was evaluated before and after. */
  comparisons?: { headlines: Headline[]; fromBefore: Comparison; fromWarmStart?: Comparison };
  marks: Mark[];
  audit: AuditFacts;
  /** Absent where nothing was judged. */
  release?: NonNullable<ReportData['release']>;
  course: NonNullable<ReportData['course']>;
  /** Iterations that were computed and given up. */
  givenUp: number;
  /** Chains without a reward, by part of the run. */
  unscorable: { part: string; chains: number; of: number }[];
  wallSeconds: Record<string, number>;
  peakMemoryBytes: Record<string, number>;
  /** Absent where the run has exported nothing yet. */
  used?: ReportData['used'];
  exported: ReportData['exported'];
  versions: Record<string, string>;
}
