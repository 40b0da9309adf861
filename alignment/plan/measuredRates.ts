/** What the estimate of a run rests on. */

/** Speeds and sizes of the default model; another model or machine shifts all of them alike. */
export const measuredRates = {
  machine: '2 cores of an AMD EPYC, SmolLM2-135M-Instruct in fp32, 2 threads',
  /** Decoding at batch 32 with a short context; with the turns of four cases in the cache it is slower. */
  generatedTokensPerSecond: 340,
  guidedTokensPerSecond: 220,
  /** Prefill of what requests do not share. */
  promptTokensPerSecond: 750,
  /** Forward and backward; the reference's log-probabilities are a forward alone. */
  trainedTokensPerSecond: 285,
  forwardTokensPerSecond: 700,
  /** Chains end before `chain.maxNewTokens`: their mean length as a share of it. */
  shareOfLongestChain: 0.8,
  /** Chains that pass the filters of the warm start. */
  shareKept: 0.6,
  /** The template's system message and the request. */
  rawPromptTokens: 45,
  /** With codes and four cases, of which requests of one category share all but the request. */
  guidedPromptTokens: 700,
  guidedOwnTokens: 60,
  /** Codes and cases are read once a category and set of cases. */
  prefixesPerCategory: 2,
  categories: 12,
  /** What sampling by embeddings reads: pairs of the shipped library, and of each its harmful case's request; every request. */
  contrastPairs: 24,
  embeddedTokens: 15,
  prepareSeconds: 3,
  /** Merging, hashing and copying the weights into the store. */
  exportSeconds: 6,
  reportSeconds: 1,
  /** Ids, log-probabilities, text and scores of a token of a chain, as JSON. */
  bytesPerToken: 45,
  /** A worker's heartbeats reach the server at most so often. */
  secondsBetweenHeartbeats: 5,
  /** Of a question to a rubric judge: rubric, request and answer. */
  judgeInputTokens: 700,
  /** Instruction and categories of a guard model, read once a stage. */
  guardPromptTokens: 280,
  /** Of the question that a policy is asked about its own answer, without the answer. */
  selfQuestionTokens: 120,
  /** What orchestration adds to a generation or training stage: publishing, planning, collecting. */
  stageSeconds: 2,
};
