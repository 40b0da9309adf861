import type { DecoderConfig } from '../model/config.ts';
import { PREFIX_BLOCK } from './cachedAttention.ts';

/**
 * Keys and values of the leading tokens that rows share, in the blocks that the graph takes: by layer [prefixes, kvHeads, blocks, blockLength,
 * headDim], zero after a block's last key. Each prefix has as many rows behind it as the others.
 */
export interface PrefixKeys {
  /** Of each prefix; 0 tokens = no prefix (one masked key stands in). */
  shapes: readonly PrefixShape[];
  blocks: number;
  blockLength: number;
  keys: Float32Array[];
  values: Float32Array[];
}

/** How the tokens of one prefix lie in its blocks. Its own alone: where a sum over its keys is broken decides its bits. */
export interface PrefixShape {
  tokens: number;
  /** The first `blocks` blocks have keys, in each the first `blockLength` places. */
  blocks: number;
  blockLength: number;
}

/** One prefix. */
export interface Prefix extends PrefixKeys {
  length: number;
}

export function prefixShape(tokens: number): PrefixShape {
  const blocks = Math.max(1, Math.ceil(tokens / PREFIX_BLOCK));
  return { tokens, blocks, blockLength: Math.max(1, Math.ceil(tokens / blocks)) };
}

/** The prefix of no tokens. */
export function emptyPrefix(config: DecoderConfig): Prefix {
  const none = () => Array.from({ length: config.layers }, () => new Float32Array(config.kvHeads * config.headDim));
  return { length: 0, shapes: [prefixShape(0)], blocks: 1, blockLength: 1, keys: none(), values: none() };
}

/** `prefix` followed by `added` more tokens, whose keys and values are the first of [kvHeads, width, headDim] by layer. */
export function extendPrefix(
  config: DecoderConfig,
  prefix: Prefix,
  {
    added,
    width,
    keys,
    values,
  }: { added: number; width: number; keys: readonly Float32Array[]; values: readonly Float32Array[] },
): Prefix {
  const length = prefix.length + added;
  const shape = prefixShape(length);
  const { blocks, blockLength } = shape;
  const { kvHeads, headDim } = config;
  const join = (old: Float32Array, fresh: Float32Array) => {
    const joined = new Float32Array(kvHeads * blocks * blockLength * headDim);
    for (let head = 0; head < kvHeads; head++) {
      const from = head * prefix.blocks * prefix.blockLength * headDim;
      const to = head * blocks * blockLength * headDim;
      joined.set(old.subarray(from, from + prefix.length * headDim), to);
      const first = head * width * headDim;
      joined.set(fresh.subarray(first, first + added * headDim), to + prefix.length * headDim);
    }
    return joined;
  };
  return {
    length,
    shapes: [shape],
    blocks,
    blockLength,
    keys: prefix.keys.map((old, layer) => join(old, keys[layer]!)),
    values: prefix.values.map((old, layer) => join(old, values[layer]!)),
  };
}

/** Tokens of prefixes that are kept for later calls: 46 KB each for 135 million parameters. */
const KEPT_TOKENS = 2048;

/** The prefixes used last: shards of one run often share theirs. Computed again, a prefix would have the same bits. */
export class RecentPrefixes {
  private readonly prefixes = new Map<string, Prefix>();
  private last: readonly number[] = [];

  get(tokens: readonly number[]): Prefix | undefined {
    const key = tokens.join();
    const prefix = this.prefixes.get(key);
    if (prefix) this.keep(key, prefix);
    return prefix;
  }

  /** A long one is not kept: it would push out all others. */
  add(tokens: readonly number[], prefix: Prefix): void {
    if (prefix.length > KEPT_TOKENS) return;
    this.keep(tokens.join(), prefix);
    let kept = [...this.prefixes.values()].reduce((sum, { length }) => sum + length, 0);
    for (const [key, { length }] of this.prefixes) {
      if (kept <= KEPT_TOKENS) break;
      this.prefixes.delete(key);
      kept -= length;
    }
  }

  /** How many tokens that can be kept these begin with as the ones that were asked about before did: the same codes, say, before other cases. */
  sharedWithLast(tokens: readonly number[]): number {
    const differs = tokens.findIndex((token, index) => token !== this.last[index]);
    this.last = tokens;
    return Math.min(differs < 0 ? tokens.length : differs, KEPT_TOKENS);
  }

  /** The most recent one is last in the map. */
  private keep(key: string, prefix: Prefix): void {
    this.prefixes.delete(key);
    this.prefixes.set(key, prefix);
  }
}
