/**
 * Randomness as a function of a seed: nothing is drawn, everything is derived, so that a stage that runs again makes the same choices.
 * A seed is any string that names a choice, such as `1234/iteration-2/cases`.
 */
import { createHash } from 'node:crypto';

/** An endless stream of uniform numbers in [0, 1), each with 32 random bits: sfc32 (Doty-Humphrey, PractRand), keyed by the SHA-256 of the seed. */
export function uniformStream(seed: string): () => number {
  const key = createHash('sha256').update(seed).digest();
  let [a, b, c, counter] = [key.readInt32LE(0), key.readInt32LE(4), key.readInt32LE(8), 1];
  return () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
}

/**
 * Orders items by the hash of seed and id: adding or removing an item leaves the order of the others as it was, and it does not depend on
 * the order in which the items came.
 */
export function seededOrder<T>(items: readonly T[], idOf: (item: T) => string, seed: string): T[] {
  return items
    .map((item) => ({ item, id: idOf(item) }))
    .map(({ item, id }) => ({ item, id, rank: createHash('sha256').update(`${seed}\n${id}`).digest('hex') }))
    .sort((one, other) => compare(one.rank, other.rank) || compare(one.id, other.id))
    .map(({ item }) => item);
}

/**
 * Orders items so that every prefix is balanced over categories as far as the categories reach: rounds, each with one item of every category
 * that still has some, categories shuffled anew in each round.
 */
export function balancedOrder<T>(
  items: readonly T[],
  idOf: (item: T) => string,
  categoryOf: (item: T) => string,
  seed: string,
): T[] {
  const queues = new Map<string, T[]>();
  for (const item of seededOrder(items, idOf, seed)) {
    const queue = queues.get(categoryOf(item));
    if (queue) queue.push(item);
    else queues.set(categoryOf(item), [item]);
  }
  const ordered: T[] = [];
  for (let round = 0; ordered.length < items.length; round++) {
    const open = [...queues.keys()].filter((category) => round < queues.get(category)!.length);
    for (const category of seededOrder(open, (name) => name, `${seed}/round-${round}`)) {
      ordered.push(queues.get(category)![round]!);
    }
  }
  return ordered;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
