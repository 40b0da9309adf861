/** Chains for the tests of alignment/. */
import type { ChainRecord, ScoredChain } from '../../alignment/chains/chain.ts';

export function makeChain(requestId: string, changes: Partial<ChainRecord> = {}): ChainRecord {
  return {
    requestId,
    sampleIndex: 0,
    guidance: 'raw',
    caseIds: [],
    promptTokens: [1, 2],
    tokens: [3, 4, 5],
    logProbs: [-1, -1, -1],
    text: '### Analysis\nIt asks.\n\n### Final Response\nMix flour.',
    finishReason: 'stop',
    ...changes,
  };
}

export function makeScored(requestId: string, changes: Partial<ScoredChain> = {}): ScoredChain {
  return {
    requestId,
    sampleIndex: 0,
    kind: 'harmful',
    parts: {},
    reward: 1,
    verdict: 'refusal',
    format: true,
    phraseRefusal: false,
    refusalWithContent: false,
    tokens: 10,
    cut: false,
    ...changes,
  };
}
