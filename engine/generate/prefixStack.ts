import type { DecoderConfig } from '../model/config.ts';
import type { Prefix, PrefixKeys, PrefixShape } from './prefix.ts';

/**
 * The prefixes that rows decode behind together, each in the blocks that it has alone: filled up to as many blocks, of as many places, as the others
 * may have. Dense: removing one moves the last into its place.
 */
export class PrefixStack implements PrefixKeys {
  readonly shapes: PrefixShape[] = [];
  readonly blocks: number;
  readonly blockLength: number;
  readonly keys: Float32Array[];
  readonly values: Float32Array[];
  private readonly kvHeads: number;
  private readonly headDim: number;

  /** @param most prefixes at once, and the most blocks and places a block that one of them has */
  constructor(
    { layers, kvHeads, headDim }: DecoderConfig,
    { prefixes, blocks, blockLength }: { prefixes: number; blocks: number; blockLength: number },
  ) {
    this.kvHeads = kvHeads;
    this.headDim = headDim;
    this.blocks = blocks;
    this.blockLength = blockLength;
    const allocate = () => Array.from({ length: layers }, () => new Float32Array(prefixes * this.size));
    this.keys = allocate();
    this.values = allocate();
  }

  push({ shapes: [shape], keys, values }: Prefix): void {
    const { blocks, blockLength } = shape!;
    const index = this.shapes.length;
    const { headDim } = this;
    for (const [stack, own] of [...this.pairs(keys, this.keys), ...this.pairs(values, this.values)]) {
      stack.fill(0, index * this.size, (index + 1) * this.size);
      for (let head = 0; head < this.kvHeads; head++) {
        for (let block = 0; block < blocks; block++) {
          const from = (head * blocks + block) * blockLength * headDim;
          const to = index * this.size + (head * this.blocks + block) * this.blockLength * headDim;
          stack.set(own.subarray(from, from + blockLength * headDim), to);
        }
      }
    }
    this.shapes.push(shape!);
  }

  remove(index: number): void {
    const last = this.shapes.length - 1;
    for (const stack of [...this.keys, ...this.values])
      stack.copyWithin(index * this.size, last * this.size, (last + 1) * this.size);
    this.shapes[index] = this.shapes[last]!;
    this.shapes.pop();
  }

  /** Numbers of one prefix in a layer. */
  private get size(): number {
    return this.kvHeads * this.blocks * this.blockLength * this.headDim;
  }

  private pairs(own: readonly Float32Array[], stacks: readonly Float32Array[]) {
    return own.map((source, layer) => [stacks[layer]!, source] as const);
  }
}
