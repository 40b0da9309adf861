import { describe, expect, it } from 'vitest';
import { drawProcessed, processedScores } from '../../../engine/generate/processedDistribution.ts';
import { uniformNumber } from '../../../engine/generate/uniformNumber.ts';
import { mulberry32 } from './tinyModel.ts';

type Options = Parameters<typeof processedScores>[2];

/** Transformers' processors and warpers, one sort and one pass each, in float64: probabilities of all tokens. */
function reference(logits: Float32Array, seen: number[], newTokens: number, options: Options): number[] {
  const { temperature, stopTokens, topK, topP, minP, repetitionPenalty = 1, minNewTokens = 0 } = options;
  let scores = Array.from(logits, (logit, token) => {
    if (!seen.includes(token)) return logit;
    return logit < 0 ? logit * repetitionPenalty : logit / repetitionPenalty;
  });
  if (newTokens < minNewTokens) scores = scores.map((score, token) => (stopTokens.includes(token) ? -Infinity : score));
  scores = scores.map((score) => score / temperature);
  if (topK) {
    const kth = [...scores].sort((a, b) => b - a)[topK - 1]!;
    scores = scores.map((score) => (score < kth ? -Infinity : score));
  }
  if (topP) {
    // Ascending, as TopPLogitsWarper: away with those whose sum of probabilities up to and with them is at most 1 - p; never the last.
    const probabilities = softmax(scores);
    const ascending = [...scores.keys()].sort((a, b) => scores[a]! - scores[b]!);
    let sum = 0;
    for (const token of ascending.slice(0, -1)) {
      sum += probabilities[token]!;
      if (sum <= 1 - topP) scores[token] = -Infinity;
    }
  }
  if (minP) {
    const probabilities = softmax(scores);
    const largest = Math.max(...probabilities);
    scores = scores.map((score, token) => (probabilities[token]! < minP * largest ? -Infinity : score));
  }
  return softmax(scores);
}

function softmax(scores: number[]): number[] {
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

const random = mulberry32(5);
const logits = Float32Array.from({ length: 300 }, () => 12 * random() - 6);
const history = { promptTokens: [3, 250, 8, 3], newTokens: [17, 8, 100] };
const seen = [...history.promptTokens, ...history.newTokens];
const stopTokens = [...logits.keys()].filter((token) => logits[token]! > 5.5).slice(0, 2);
const plain: Options = { temperature: 0.8, stopTokens };

const CASES: [string, Partial<Options>, number][] = [
  ['top-k', { topK: 7 }, 7],
  ['top-k 1', { topK: 1 }, 1],
  ['top-k beyond the vocabulary', { topK: 1000 }, 300],
  ['top-p', { topP: 0.8 }, 0],
  ['top-p that only the best token fits', { topP: 1e-9 }, 1],
  ['top-p near 1', { topP: 0.999999 }, 0],
  ['min-p', { minP: 0.2 }, 0],
  ['min-p 1', { minP: 1 }, 1],
  ['repetition penalty', { repetitionPenalty: 1.7 }, 300],
  ['repetition reward', { repetitionPenalty: 0.6 }, 300],
  ['stop tokens barred', { minNewTokens: 4 }, 298],
  ['stop tokens free again', { minNewTokens: 3, topK: 300 }, 300],
  ['all', { topK: 40, topP: 0.9, minP: 0.05, repetitionPenalty: 1.3, minNewTokens: 9 }, 0],
];

describe('the processed distribution', () => {
  it.each(CASES)('%s: as a reference in float64', (_, some, kept) => {
    const options = { ...plain, ...some };
    const expected = reference(logits, seen, history.newTokens.length, options);
    const probabilities = softmax([...processedScores(logits, history, options)]);
    const support = expected.filter((probability) => probability > 0).length;
    if (kept > 0) expect(support).toBe(kept);
    else expect(support).toBeLessThan(300);
    expected.forEach((probability, token) => {
      expect(probabilities[token]! > 0).toBe(probability > 0);
      expect(Math.abs(probabilities[token]! - probability)).toBeLessThan(1e-14);
    });

    let cumulative = 0;
    const bounds = expected.map((probability) => (cumulative += probability));
    for (let i = 0; i < 100; i++) {
      const uniform = uniformNumber('processed', i);
      const { token, logProb } = drawProcessed(logits, history, options, uniform);
      expect(uniform).toBeGreaterThan((bounds[token - 1] ?? 0) - 1e-12);
      expect(uniform).toBeLessThan(bounds[token]! + 1e-12);
      expect(Math.abs(logProb - Math.log(expected[token]!))).toBeLessThan(1e-12);
    }
  });

  it('draws what can be drawn at the ends of the unit interval', () => {
    const options = { ...plain, topK: 3 };
    const kept = [...processedScores(logits, history, options).entries()].filter(([, score]) => score > -Infinity);
    expect(drawProcessed(logits, history, options, 0).token).toBe(kept[0]![0]);
    expect(drawProcessed(logits, history, options, 1 - 2 ** -24).token).toBe(kept.at(-1)![0]);
  });

  it('keeps equals of the k-th token, and in top-p the lower ids of equals', () => {
    const equal = Float32Array.from({ length: 8 }, () => 1);
    const kept = (options: Partial<Options>) =>
      [...processedScores(equal, history, { ...plain, repetitionPenalty: 1, ...options }).entries()]
        .filter(([, score]) => score > -Infinity)
        .map(([token]) => token);
    expect(kept({ topK: 2 })).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(kept({ topP: 0.5 })).toEqual([0, 1, 2, 3]);
  });

  it('greedy: penalty and barred stop tokens count, truncation does not', () => {
    const options = { temperature: 0, stopTokens, topK: 2, repetitionPenalty: 1.2, minNewTokens: 9 };
    const expected = reference(logits, seen, 3, { ...options, temperature: 1, topK: 0 });
    const { token, logProb } = drawProcessed(logits, history, options, 0.9);
    expect(expected[token]).toBe(Math.max(...expected));
    expect(stopTokens).not.toContain(token);
    expect(logProb).toBeCloseTo(Math.log(expected[token]!), 12);
  });

  it('says that logits are not finite by a log-probability that is not', () => {
    const broken = Float32Array.from(logits).fill(NaN, 5, 6);
    expect(drawProcessed(broken, history, { ...plain, topP: 0.9 }, 0.3).logProb).toBeNaN();
    expect(drawProcessed(broken, history, { ...plain, temperature: 0 }, 0.3).logProb).toBeNaN();
  });
});
