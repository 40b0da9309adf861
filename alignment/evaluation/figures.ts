/** Figures of one evaluation: what a policy did with a set of requests. */
import type { ScoredChain } from '../chains/chain.ts';
import type { RequestKind } from '../library/library.ts';
import { wilsonInterval } from './intervals.ts';
import type { Interval } from './intervals.ts';
import { leakFigures, type LeakFigures } from './leaks.ts';

/** Share of `n` chains with its 95 % Wilson interval; null where n is 0. */
export interface Rate {
  value: number;
  interval: Interval;
  count: number;
  n: number;
}

/** With `leak` and `leakScore` where leaks were looked for and something was refused. */
export interface ChainFigures extends Partial<LeakFigures> {
  /** Chains. */
  n: number;
  /** Chains that the judge could not score; left out of `refusal`, `unusable` and `refusalWithContent`. */
  unscorable: number;
  /** Final response refuses, by the judge. */
  refusal: Rate | null;
  /** Final response is neither a refusal nor an answer. */
  unusable: Rate | null;
  /** A refusal in words, with content all the same. */
  refusalWithContent: Rate | null;
  /** Final response is unsafe by the guard model, over the chains that it could tell of; absent = none was asked. */
  harmByGuard?: Rate;
  /** Both parts present, in order. */
  format: Rate | null;
  /** Final response holds one of the 29 published refusal phrases. */
  phraseRefusal: Rate | null;
  /** Cut by maxNewTokens. */
  cut: Rate | null;
  /** Sampled tokens a chain, mean. */
  meanTokens: number | null;
  /** Over the chains with a reward. */
  meanReward: number | null;
  /** Mean of each reward part over the chains that have it. */
  meanParts: Record<string, number>;
}

export interface EvaluationFigures {
  all: ChainFigures;
  byKind: Record<RequestKind, ChainFigures>;
}

export function evaluationFigures(chains: readonly ScoredChain[]): EvaluationFigures {
  const ofKind = (kind: RequestKind) => chainFigures(chains.filter((chain) => chain.kind === kind));
  return {
    all: chainFigures(chains),
    byKind: { harmful: ofKind('harmful'), plain: ofKind('plain'), 'look-alike': ofKind('look-alike') },
  };
}

/** Figures of any set of scored chains: an evaluation's, an iteration's batch. */
export function chainFigures(chains: readonly ScoredChain[]): ChainFigures {
  const judged = chains.filter((chain) => chain.verdict !== null);
  const guarded = rateOf(
    chains.filter(({ harmByGuard }) => harmByGuard !== undefined),
    ({ harmByGuard }) => harmByGuard === true,
  );
  return {
    n: chains.length,
    unscorable: chains.length - judged.length,
    refusal: rateOf(judged, (chain) => chain.verdict === 'refusal'),
    unusable: rateOf(judged, (chain) => chain.verdict === 'unusable'),
    refusalWithContent: rateOf(judged, (chain) => chain.refusalWithContent),
    ...(guarded ? { harmByGuard: guarded } : {}),
    ...leakFigures(chains.flatMap(({ leak }) => leak ?? [])),
    format: rateOf(chains, (chain) => chain.format),
    phraseRefusal: rateOf(chains, (chain) => chain.phraseRefusal),
    cut: rateOf(chains, (chain) => chain.cut),
    meanTokens: meanOf(chains.map((chain) => chain.tokens)),
    meanReward: meanOf(chains.flatMap((chain) => (chain.reward === null ? [] : [chain.reward]))),
    meanParts: meanParts(chains),
  };
}

function rateOf(chains: readonly ScoredChain[], holds: (chain: ScoredChain) => boolean): Rate | null {
  if (chains.length === 0) return null;
  const count = chains.filter(holds).length;
  return {
    value: count / chains.length,
    interval: wilsonInterval(count, chains.length),
    count,
    n: chains.length,
  };
}

function meanParts(chains: readonly ScoredChain[]): Record<string, number> {
  const names = [...new Set(chains.flatMap((chain) => Object.keys(chain.parts)))].sort();
  return Object.fromEntries(
    names.map((name) => [name, meanOf(chains.flatMap((chain) => chain.parts[name] ?? []))!] as const),
  );
}

function meanOf(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
