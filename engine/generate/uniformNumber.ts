import { createHash } from 'node:crypto';

/**
 * Number `index` of the uniform stream of a seed: the first 24 bits of SHA-256("seed/index") over 2^24, in [0, 1), exact in float32. Each number
 * stands by itself, so a stream does not depend on what else is sampled.
 */
export function uniformNumber(seed: string, index: number): number {
  return createHash('sha256').update(`${seed}/${index}`).digest().readUIntBE(0, 3) / 2 ** 24;
}
