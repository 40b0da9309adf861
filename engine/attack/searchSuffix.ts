/**
 * Greedy coordinate gradient (GCG; Zou, Wang, Carlini, Nasr, Kolter, Fredrikson 2023, arXiv:2307.15043, algorithm 1): a white-box search for a suffix of a
 * request under which a policy begins its answer with a given target. It measures how a model holds against an adversary that knows its weights.
 *
 * A step: the gradient of the target's loss with respect to the one-hot rows of the suffix; for each place the `topK` tokens whose gradient is most negative;
 * `batch` suffixes that each differ in one place, place and token drawn evenly; the one with the least loss is gone on from. Against the paper: the current
 * token is not among the top k (it would change nothing), only suffixes that survive decoding and encoding count, and the best suffix seen is
 * kept besides the current one, which may be worse.
 */
import { uniformNumber } from '../generate/uniformNumber.ts';
import type { SuffixSearchSettings, SuffixState } from './suffixRequest.ts';
import type { TargetLoss } from './suffixModel.ts';

/** What is searched against. */
export interface SuffixObjective {
  losses(suffixes: readonly number[][]): Promise<TargetLoss[]>;
  /** Of the suffix: [length, vocabulary]. */
  gradient(suffix: readonly number[]): Promise<{ gradient: Float32Array }>;
}

export interface SuffixSpace {
  initial: readonly number[];
  /** Tokens that may stand in it, in rising order. */
  allowed: readonly number[];
  survives(suffix: readonly number[]): boolean;
}

/**
 * Goes on from `state` (absent: from the start) until step `until`, or until greedy decoding writes the target. Every number is derived from `seed` and the
 * step, so that stopping and going on changes nothing.
 */
export async function searchSuffix(
  objective: SuffixObjective,
  space: SuffixSpace,
  { topK, batch, seed }: Pick<SuffixSearchSettings, 'topK' | 'batch' | 'seed'>,
  until: number,
  state?: SuffixState,
  onStep: (state: SuffixState) => void = () => {},
): Promise<SuffixState> {
  let now = state ?? (await startOf(objective, space));
  while (now.step < until && !now.reached) {
    const { gradient } = await objective.gradient(now.suffix);
    const swaps = bestSwaps(gradient, now.suffix, space.allowed, topK);
    const candidates = drawCandidates(now.suffix, swaps, space, batch, `${seed}/gcg/${now.step}`);
    const losses = await objective.losses(candidates);
    now = advanced(now, candidates, losses);
    onStep(now);
  }
  return now;
}

async function startOf(objective: SuffixObjective, { initial }: SuffixSpace): Promise<SuffixState> {
  const suffix = [...initial];
  const [scored] = await objective.losses([suffix]);
  const { loss, leastProbability } = scored!;
  return {
    ...{ step: 0, suffix, loss, best: suffix, bestLoss: loss, initialLoss: loss },
    reached: leastProbability > certain,
  };
}

/** A token with more than half of the probability is what greedy decoding writes. */
const certain = 0.5;

/** The state after a step; of equal losses the first counts. */
function advanced(state: SuffixState, candidates: readonly number[][], losses: readonly TargetLoss[]): SuffixState {
  const step = state.step + 1;
  let least: number | undefined;
  losses.forEach(({ loss }, index) => {
    if (least === undefined || loss < losses[least]!.loss) least = index;
  });
  // No swap survives: the next step draws others.
  if (least === undefined) return { ...state, step };
  const [suffix, { loss, leastProbability }] = [candidates[least]!, losses[least]!];
  const reached = leastProbability > certain;
  const better = reached || loss < state.bestLoss;
  return {
    ...{ step, suffix, loss, reached, initialLoss: state.initialLoss },
    ...(better ? { best: suffix, bestLoss: loss } : { best: state.best, bestLoss: state.bestLoss }),
  };
}

/** For each place the k allowed tokens with the most negative gradient, without the one that stands there; of equals the lower ids. */
export function bestSwaps(
  gradient: Float32Array,
  suffix: readonly number[],
  allowed: readonly number[],
  k: number,
): number[][] {
  const vocabulary = gradient.length / suffix.length;
  return suffix.map((current, place) => {
    const row = gradient.subarray(place * vocabulary, (place + 1) * vocabulary);
    return allowed
      .filter((token) => token !== current && token < vocabulary)
      .sort((one, other) => row[one]! - row[other]! || one - other)
      .slice(0, k);
  });
}

/** Draws for each candidate wanted, at most: most swaps of a byte-pair vocabulary survive, but not all. */
const drawsPerCandidate = 4;

/** Different suffixes, each with one token swapped, that survive; fewer than `count` where so many are not found. */
function drawCandidates(
  suffix: readonly number[],
  swaps: readonly number[][],
  { survives }: SuffixSpace,
  count: number,
  seed: string,
): number[][] {
  const candidates: number[][] = [];
  const drawn = new Set<string>();
  for (let draw = 0; draw < count * drawsPerCandidate && candidates.length < count; draw++) {
    const place = Math.floor(uniformNumber(seed, 2 * draw) * suffix.length);
    const tokens = swaps[place]!;
    const token = tokens[Math.floor(uniformNumber(seed, 2 * draw + 1) * tokens.length)];
    if (token === undefined || drawn.has(`${place} ${token}`)) continue;
    drawn.add(`${place} ${token}`);
    const candidate = suffix.with(place, token);
    if (survives(candidate)) candidates.push(candidate);
  }
  return candidates;
}
