import type { SamplingOptions } from '../policy.ts';

/** What the processors of one draw need to know of its row. */
export interface RowHistory {
  promptTokens: readonly number[];
  /** Tokens sampled so far. */
  newTokens: readonly number[];
}

type ProcessorOptions = Omit<SamplingOptions, 'maxNewTokens' | 'stopStrings' | 'tokenizerPath' | 'firstTokens'>;

/** Whether an option other than the temperature shapes the distribution; neutral values (topP 1, topK 0, ...) do not. */
export function shapesDistribution(options: ProcessorOptions): boolean {
  const { temperature, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1, minNewTokens = 0 } = options;
  const truncates = temperature > 0 && (topK > 0 || topP < 1 || minP > 0);
  return truncates || repetitionPenalty !== 1 || minNewTokens > 0;
}

/**
 * Chooses a token after all processors, and its log-probability in the distribution that it was chosen from.
 *
 * In float64, row by row, sums in the order of the ids: a draw depends on its logits, history and uniform number alone.
 * @param logits of one place, [vocabulary], not divided by the temperature
 * @param uniform in [0, 1); ignored by greedy decoding
 */
export function drawProcessed(
  logits: Float32Array,
  history: RowHistory,
  options: ProcessorOptions,
  uniform: number,
): { token: number; logProb: number } {
  const scores = processedScores(logits, history, options);
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = scores.reduce((total, score) => total + Math.exp(score - largest), 0);
  const token = options.temperature === 0 ? scores.indexOf(largest) : invert(scores, largest, uniform * sum);
  return { token, logProb: token < 0 ? NaN : scores[token]! - largest - Math.log(sum) };
}

/** log p of some tokens under the softmax of the logits [vocabulary], in float64; NaN for all where a logit is not finite. */
export function logProbsOf(logits: Float32Array, tokens: readonly number[]): number[] {
  const largest = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = logits.reduce((total, logit) => total + (Number.isFinite(logit) ? Math.exp(logit - largest) : NaN), 0);
  return tokens.map((token) => logits[token]! - largest - Math.log(sum));
}

/**
 * Logits after the processors and warpers, -Infinity for tokens that cannot be drawn, in the order of Transformers 5 (GenerationMixin,
 * _get_logits_processor): repetition penalty, stop tokens barred, temperature, top-k, top-p, min-p. The last four are left out by greedy decoding.
 */
export function processedScores(logits: Float32Array, history: RowHistory, options: ProcessorOptions): Float64Array {
  const { temperature, stopTokens, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1, minNewTokens = 0 } = options;
  const scores = Float64Array.from(logits);
  if (repetitionPenalty !== 1) {
    for (const token of new Set([...history.promptTokens, ...history.newTokens])) {
      const score = scores[token]!;
      scores[token] = score < 0 ? score * repetitionPenalty : score / repetitionPenalty;
    }
  }
  if (history.newTokens.length < minNewTokens) for (const token of stopTokens) scores[token] = -Infinity;
  if (temperature === 0) return scores;
  for (let i = 0; i < scores.length; i++) scores[i]! /= temperature;
  if (topK > 0 && topK < scores.length) keepTopK(scores, topK);
  if (topP < 1) keepTopP(scores, topP);
  if (minP > 0) {
    const threshold = scores.reduce((a, b) => Math.max(a, b), -Infinity) + Math.log(minP);
    keepFrom(scores, threshold);
  }
  return scores;
}

/** Tokens not less likely than the k-th; equals of the k-th stay, as in Transformers. */
function keepTopK(scores: Float64Array, k: number): void {
  const candidates = mostLikely(scores, (count) => count >= k);
  keepFrom(scores, scores[candidates[k - 1]!]!);
}

/** The fewest most likely tokens whose probabilities reach p; of equal ones, the lower ids first. At least one stays. */
function keepTopP(scores: Float64Array, p: number): void {
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const target = p * scores.reduce((total, score) => total + Math.exp(score - largest), 0);
  const candidates = mostLikely(scores, (_, mass) => mass >= target);
  let mass = 0;
  const kept = new Set<number>();
  for (const token of candidates) {
    if (kept.size > 0 && mass >= target) break;
    kept.add(token);
    mass += Math.exp(scores[token]! - largest);
  }
  for (let token = 0; token < scores.length; token++) if (!kept.has(token)) scores[token] = -Infinity;
}

function keepFrom(scores: Float64Array, threshold: number): void {
  for (let token = 0; token < scores.length; token++) if (scores[token]! < threshold) scores[token] = -Infinity;
}

/**
 * The most likely tokens, best first, at least as many as are wanted: only those within some distance of the best one are sorted, and the distance
 * grows until there are enough (sorting whole vocabularies would take as long as the model).
 */
function mostLikely(scores: Float64Array, enough: (count: number, mass: number) => boolean): number[] {
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  for (let distance = 4; ; distance *= 2) {
    const candidates: number[] = [];
    let mass = 0;
    for (let token = 0; token < scores.length; token++) {
      if (scores[token]! < largest - distance) continue;
      candidates.push(token);
      mass += Math.exp(scores[token]! - largest);
    }
    if (enough(candidates.length, mass) || distance > 1e6 || candidates.length === scores.length) {
      return candidates.sort((a, b) => scores[b]! - scores[a]! || a - b);
    }
  }
}

/** The token at which the cumulative sum of exponentials passes the target; always one that can be drawn. */
function invert(scores: Float64Array, largest: number, target: number): number {
  let sum = 0;
  let last = -1;
  for (let token = 0; token < scores.length; token++) {
    const weight = Math.exp(scores[token]! - largest);
    if (!(weight > 0)) continue;
    sum += weight;
    last = token;
    if (sum > target) break;
  }
  return last;
}
