/** A stage of a run as planned, and the work it is the sum of. */

export interface PlannedStage {
  /** As the run's record names it: 'prepare', 'evaluate before', 'warm start', 'iterations', ... */
  stage: string;
  /** How often; the other numbers are of all times together. */
  times: number;
  chains: number;
  /** At most: every chain as long as `chain.maxNewTokens`. */
  generatedTokens: number;
  /** Prompt and completion tokens through forward and backward. */
  trainedTokens: number;
  seconds: number;
  /** Bytes put into the store. */
  storeBytes: number;
  /** Reads and writes of the store. */
  storeRequests: number;
  /** What a Temporal server counts: workflows and activities started, heartbeats. */
  temporalActions: number;
  /** Questions to a rubric judge. */
  judgeCalls: number;
  /** Questions to a teacher. */
  teacherCalls: number;
}

export type Work = Partial<Omit<PlannedStage, 'stage' | 'times'>> & { seconds: number };

/** A stage that does all of this work, `times` over. */
export function planned(stage: string, times: number, ...work: Work[]): PlannedStage {
  const sum = (of: (one: Work) => number | undefined): number =>
    times * work.reduce((all, one) => all + (of(one) ?? 0), 0);
  return {
    stage,
    times,
    chains: sum((one) => one.chains),
    generatedTokens: sum((one) => one.generatedTokens),
    trainedTokens: sum((one) => one.trainedTokens),
    seconds: sum((one) => one.seconds),
    storeBytes: Math.round(sum((one) => one.storeBytes)),
    storeRequests: sum((one) => one.storeRequests),
    temporalActions: sum((one) => one.temporalActions),
    judgeCalls: sum((one) => one.judgeCalls),
    teacherCalls: sum((one) => one.teacherCalls),
  };
}
