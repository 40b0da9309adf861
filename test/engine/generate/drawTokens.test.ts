import { describe, expect, it } from 'vitest';
import { drawTokens } from '../../../engine/generate/drawTokens.ts';
import { uniformNumber } from '../../../engine/generate/uniformNumber.ts';
import { Graph } from '../../../engine/graph/builder.ts';
import { openSession } from '../../../engine/session/session.ts';
import { mulberry32 } from './tinyModel.ts';

const LARGEST = 1 - 2 ** -24;

/** Draws one token for every uniform number, from the same logits. */
async function draw(logits: Float32Array, uniforms: number[], greedy = false) {
  const graph = new Graph('draw');
  const { tokens, probabilities } = drawTokens(
    graph,
    graph.input('logits', 'float32', ['R', logits.length]),
    graph.input('uniforms', 'float32', ['R', 1]),
    graph.input('greedy', 'bool', []),
  );
  graph.output('tokens', tokens);
  graph.output('probabilities', probabilities);
  const session = await openSession(graph, { threads: 1, device: 'cpu' });
  const rows = uniforms.length;
  const repeated = new Float32Array(rows * logits.length);
  uniforms.forEach((_, row) => repeated.set(logits, row * logits.length));
  const result = await session.run({
    logits: { data: repeated, shape: [rows, logits.length] },
    uniforms: { data: Float32Array.from(uniforms), shape: [rows, 1] },
    greedy: { data: Uint8Array.of(greedy ? 1 : 0), shape: [] },
  });
  await session.release();
  return {
    tokens: Array.from(result['tokens']!.data as BigInt64Array, Number),
    probabilities: Array.from(result['probabilities']!.data as Float32Array),
  };
}

/** Cumulative distribution in float64. */
function cumulative(logits: Float32Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const sums = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
  for (let i = 1; i < sums.length; i++) sums[i]! += sums[i - 1]!;
  return sums.map((sum) => sum / sums.at(-1)!);
}

const randomLogits = (size: number) => {
  const random = mulberry32(size);
  return Float32Array.from({ length: size }, () => 6 * random() - 3);
};

// A prime (blocks of one token), a square, a number of other divisors, and the vocabulary of SmolLM2.
describe.each([97, 256, 300, 49152])('drawing from %i tokens', (size) => {
  it('inverts the cumulative distribution', async () => {
    const logits = randomLogits(size);
    const sums = cumulative(logits);
    const uniforms = Array.from({ length: 200 }, (_, i) => uniformNumber('seed', i));
    const { tokens, probabilities } = await draw(logits, uniforms);
    tokens.forEach((token, i) => {
      const [low, high] = [sums[token - 1] ?? 0, sums[token]!];
      expect(uniforms[i]!).toBeGreaterThan(low - 2e-6);
      expect(uniforms[i]!).toBeLessThan(high + 2e-6);
      expect(probabilities[i]!).toBeCloseTo(high - low, 6);
    });
    expect(new Set(tokens).size).toBeGreaterThan(30);
  });

  it('never draws a token without probability, at the ends of the unit interval either', async () => {
    const logits = randomLogits(size)
      .fill(-1e30, 0, Math.ceil(size / 3))
      .fill(-1e30, Math.ceil(size / 2));
    const { tokens, probabilities } = await draw(logits, [0, LARGEST, 0.5, 2 ** -24]);
    for (const probability of probabilities) expect(probability).toBeGreaterThan(0);
    expect(tokens.slice(0, 2)).toEqual([Math.ceil(size / 3), Math.ceil(size / 2) - 1]);
  });

  it('greedy: the first of the most likely tokens', async () => {
    const logits = randomLogits(size);
    logits[40] = logits[70] = 9;
    expect((await draw(logits, [0.1, 0.99], true)).tokens).toEqual([40, 40]);
  });
});

describe('uniformNumber', () => {
  it('is exact in float32, in [0, 1), and a function of seed and index', () => {
    const numbers = Array.from({ length: 2000 }, (_, i) => uniformNumber('a', i));
    for (const number of numbers) {
      expect(Math.fround(number)).toBe(number);
      expect(number * 2 ** 24).toBe(Math.floor(number * 2 ** 24));
      expect(number).toBeLessThan(1);
    }
    expect(new Set(numbers).size).toBeGreaterThan(1990);
    expect(numbers.reduce((a, b) => a + b) / 2000).toBeCloseTo(0.5, 1);
    // First 24 bits of sha256("run/3/request-7/0/7").
    expect(uniformNumber('run/3/request-7/0', 7)).toBe(0x836d3a / 2 ** 24);
    expect(uniformNumber('a', 11)).not.toBe(uniformNumber('a1', 1));
  });
});
