import { describe, expect, it } from 'vitest';
import { PREFILL_CHUNK, prefixGroups, rowsOf, stackGroups } from '../../../engine/generate/prefixGroups.ts';
import { RowCache } from '../../../engine/generate/rowCache.ts';
import type { SamplePrompt } from '../../../engine/policy.ts';
import { SMOLLM2_CONFIG, TINY_CONFIG } from './tinyModel.ts';

const prefixOf = (id: number, length: number) => Array.from({ length }, (_, i) => (i === 0 ? id : i % 7));
const prompt = (id: string, prefix: number[], rest: number[], samples: number): SamplePrompt => ({
  ...{ id, tokens: [...prefix, ...rest], prefixLength: prefix.length },
  seeds: Array.from({ length: samples }, (_, i) => `${id}/${i}`),
});
const limits = { decodeBatch: 32, minimumRows: 1 };
/** Groups of `samples` rows behind a prefix of their own each, by its length. */
const groupsOf = (lengths: number[], samples: number) =>
  prefixGroups(lengths.map((length, id) => prompt(`${id}`, prefixOf(id, length), [1, 2], samples)));

describe('groups', () => {
  it('prompts with the same leading tokens, in order of first appearance; without samples none', () => {
    const [one, other] = [prefixOf(1, 5), prefixOf(2, 5)];
    const prompts = [
      prompt('a', one, [7], 2),
      prompt('b', other, [7], 1),
      prompt('c', one, [8, 9], 3),
      prompt('d', one, [1], 0),
    ];
    const groups = prefixGroups(prompts);
    expect(groups.map((group) => group.prompts.map(({ id }) => id))).toEqual([['a', 'c'], ['b']]);
    expect(groups.map(({ prefixTokens }) => prefixTokens)).toEqual([one, other]);
    expect(groups.map(rowsOf)).toEqual([5, 1]);
  });

  it('leave a token to draw from, and all but the last chunk of a long rest to the prefix', () => {
    const lengthOf = (one: SamplePrompt) => prefixGroups([one])[0]!.prefixTokens.length;
    expect(lengthOf(prompt('whole', prefixOf(1, 9), [], 1))).toBe(8);
    expect(lengthOf(prompt('long', prefixOf(1, 9), prefixOf(2, PREFILL_CHUNK), 1))).toBe(9);
    expect(lengthOf(prompt('longer', prefixOf(1, 9), prefixOf(2, PREFILL_CHUNK + 1), 1))).toBe(9 + PREFILL_CHUNK);
  });
});

describe('groups that decode together', () => {
  it('small ones, with as many rows behind a prefix as costs least', () => {
    // 16 prefixes of 4 blocks of 120 or 125: two rows each cost 16 (2 + 1), four 16 (4 + 1), one 32 (1 + 1).
    const pairs = groupsOf(
      Array.from({ length: 16 }, (_, i) => 480 + 20 * (i % 2)),
      2,
    );
    expect(stackGroups(SMOLLM2_CONFIG, pairs, limits)).toEqual([
      { groups: pairs, rows: 2, prefixes: 16, blocks: 4, blockLength: 125 },
    ]);
    // Four samples of each of 20 requests: 8 prefixes at a time.
    const fours = groupsOf(Array<number>(20).fill(500), 4);
    expect(stackGroups(SMOLLM2_CONFIG, fours, limits)).toMatchObject([{ rows: 4, prefixes: 8 }]);
    // Single rows: as many prefixes as rows.
    const singles = groupsOf(Array<number>(5).fill(100), 1);
    expect(stackGroups(SMOLLM2_CONFIG, singles, limits)).toMatchObject([{ rows: 1, prefixes: 5, blocks: 1 }]);
    expect(stackGroups(SMOLLM2_CONFIG, singles, { ...limits, minimumRows: 2 })).toMatchObject([{ rows: 2 }]);
  });

  it('no large one, none that has no like, none where there is a single key head', () => {
    const large = groupsOf([500, 500], 5);
    expect(stackGroups(SMOLLM2_CONFIG, large, limits)).toEqual(large);
    const alone = groupsOf([500], 2);
    expect(stackGroups(SMOLLM2_CONFIG, alone, limits)).toEqual(alone);
    const pairs = groupsOf([500, 500], 2);
    expect(stackGroups({ ...SMOLLM2_CONFIG, heads: 9, kvHeads: 1 }, pairs, limits)).toEqual(pairs);
    expect(stackGroups(SMOLLM2_CONFIG, pairs, { ...limits, decodeBatch: 8 })).toEqual(pairs);
  });

  it('only those that have the same bits together: equally many blocks, and where softmax asks for it equally long ones', () => {
    const groups = groupsOf([0, 128, 129, 256, 385, 386, 388, 897, 1024, 1100], 1);
    const together = (architecture: string) =>
      stackGroups(SMOLLM2_CONFIG, groups, limits, architecture).flatMap((one) =>
        'groups' in one ? [one.groups.map(({ prefixTokens }) => prefixTokens.length)] : [],
      );
    expect(together('x64')).toEqual([
      [0, 128],
      [129, 256],
      [385, 386, 388],
      [897, 1024],
    ]);
    // Four blocks of 97 each.
    expect(together('arm64')).toEqual([[385, 386, 388]]);
  });

  it('no more prefixes than 512 MiB hold', () => {
    // 256 KiB a token: 2048 tokens.
    const large = { ...SMOLLM2_CONFIG, layers: 32, heads: 32, kvHeads: 8, headDim: 128 };
    const groups = groupsOf(Array<number>(16).fill(500), 2);
    expect(stackGroups(large, groups, limits)).toMatchObject([{ rows: 2, prefixes: 4 }]);
    const long = groupsOf(Array<number>(16).fill(2000), 2);
    expect(stackGroups(large, long, limits)).toEqual(long);
  });
});

it('the cache of rows leaves places empty, and moves several rows at once', () => {
  const { kvHeads, headDim, layers } = TINY_CONFIG;
  const cache = new RowCache(TINY_CONFIG, 4);
  const size = kvHeads * headDim;
  const keysOf = (value: number) => Array.from({ length: layers }, () => new Float32Array(size).fill(value));
  const admit = (value: number) => cache.admit({ length: 1, width: 1, keys: keysOf(value), values: keysOf(-value) });
  const firstKeys = (row: number) => cache.keys[1]![row * kvHeads * cache.capacity * headDim];
  admit(1);
  cache.admit();
  admit(3);
  admit(4);
  const stretch = () =>
    Array.from({ length: layers }, () => Float32Array.from({ length: 4 * size }, (_, i) => 10 + Math.floor(i / size)));
  cache.append(stretch(), stretch());
  expect(cache.lengths).toEqual([2, 0, 2, 2]);
  expect(cache.keys[0]![headDim]).toBe(10);
  cache.clear(0);
  expect(cache.lengths).toEqual([0, 0, 2, 2]);
  cache.remove(0, 2);
  expect(cache.lengths).toEqual([2, 2]);
  expect([firstKeys(0), firstKeys(1)]).toEqual([3, 4]);
  expect(cache.values[0]![headDim]).toBe(12);
  cache.remove(1);
  expect(cache.lengths).toEqual([2]);
  expect(firstKeys(0)).toBe(3);
});
