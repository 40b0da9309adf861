import { createHash } from 'node:crypto';
import { canonicalJson } from './canonicalJson.ts';

/**
 * Seeds are derived, never drawn: the same parts (run seed, iteration, request id, sample index, purpose) give the same
 * seed on every machine and at every attempt. A seed is a SHA-256 in hex.
 */

/** The seed of these parts, in this order; `1` and `'1'` differ, as do `['ab']` and `['a', 'b']`. */
export function deriveSeed(...parts: (string | number)[]): string {
  return createHash('sha256').update(canonicalJson(parts)).digest('hex');
}

/** A number in [0, 1): the first 53 bits of the seed. */
export function uniformFromSeed(seed: string): number {
  if (!/^[0-9a-f]{64}$/.test(seed)) throw new TypeError(`"${seed}" is not a seed: make one with deriveSeed(...).`);
  return Number(BigInt(`0x${seed.slice(0, 14)}`) >> 3n) / 2 ** 53;
}

/** An endless sequence of numbers in [0, 1): the i-th is that of `deriveSeed(seed, i)`. */
export function uniformsFromSeed(seed: string): () => number {
  let index = 0;
  return () => uniformFromSeed(deriveSeed(seed, index++));
}

/** A shuffled copy (Fisher-Yates). */
export function shuffled<T>(items: readonly T[], seed: string): T[] {
  return sampleWithout(items, items.length, seed);
}

/**
 * `n` of the items without replacement, in random order; a larger `n` only adds items at the end.
 *
 * @throws RangeError where there are fewer than `n`
 */
export function sampleWithout<T>(items: readonly T[], n: number, seed: string): T[] {
  if (!Number.isInteger(n) || n < 0 || n > items.length) {
    throw new RangeError(`can't draw ${n} of ${items.length} items without replacement`);
  }
  const pool = [...items];
  const next = uniformsFromSeed(seed);
  for (let i = 0; i < n; i++) {
    const j = i + Math.floor(next() * (pool.length - i));
    [pool[i], pool[j]] = [pool[j] as T, pool[i] as T];
  }
  return pool.slice(0, n);
}
