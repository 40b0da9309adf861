import type { DecoderConfig } from '../model/config.ts';

/** Keys and values of one prompt's tokens after the prefix: by layer [kvHeads, width, headDim], the first `length` of `width` tokens being real. */
export interface PromptKeys {
  length: number;
  width: number;
  keys: Float32Array[];
  values: Float32Array[];
}

/** The capacity grows in steps of this many tokens. */
const CAPACITY_STEP = 64;

/**
 * The own past of the rows that decode together: by layer [rows, kvHeads, capacity, headDim]. Removing rows moves the last ones into their places; a
 * place may also be left empty. What lies after a row's length is masked by the reader.
 */
export class RowCache {
  readonly maximumRows: number;
  /** Tokens of each row; of an empty place 0. */
  readonly lengths: number[] = [];
  capacity = CAPACITY_STEP;
  keys: Float32Array[];
  values: Float32Array[];
  private readonly kvHeads: number;
  private readonly headDim: number;

  constructor(config: DecoderConfig, maximumRows: number) {
    this.maximumRows = maximumRows;
    this.kvHeads = config.kvHeads;
    this.headDim = config.headDim;
    const layers = () => Array.from({ length: config.layers }, () => this.allocate(this.capacity));
    this.keys = layers();
    this.values = layers();
  }

  /** Adds a row that continues a prompt; without one, an empty place. */
  admit(prompt?: PromptKeys): void {
    const row = this.lengths.length;
    if (row === this.maximumRows) throw new RangeError(`the cache is full: ${row} rows`);
    if (!prompt) {
      this.lengths.push(0);
      return;
    }
    this.reserve(prompt.length + 1);
    for (const [cache, source] of this.pairs(prompt.keys, prompt.values)) {
      for (let head = 0; head < this.kvHeads; head++) {
        const from = head * prompt.width * this.headDim;
        cache.set(source.subarray(from, from + prompt.length * this.headDim), this.offset(row, head));
      }
    }
    this.lengths.push(prompt.length);
  }

  /** Appends one token to every row, not to empty places; keys and values by layer are [at least rows, kvHeads, 1, headDim]. */
  append(keys: readonly Float32Array[], values: readonly Float32Array[]): void {
    this.reserve(Math.max(...this.lengths) + 1);
    const { kvHeads, headDim } = this;
    for (const [cache, source] of this.pairs(keys, values)) {
      this.lengths.forEach((length, row) => {
        if (length === 0) return;
        for (let head = 0; head < kvHeads; head++) {
          const from = (row * kvHeads + head) * headDim;
          cache.set(source.subarray(from, from + headDim), this.offset(row, head) + length * headDim);
        }
      });
    }
    this.lengths.forEach((length, row) => {
      if (length > 0) this.lengths[row] = length + 1;
    });
  }

  /** Leaves a row's place empty. */
  clear(row: number): void {
    this.lengths[row] = 0;
  }

  /** Removes `count` rows from `row` on; the last `count` rows take their numbers. */
  remove(row: number, count = 1): void {
    const last = this.lengths.length - count;
    if (row !== last) {
      for (const cache of [...this.keys, ...this.values])
        cache.copyWithin(this.offset(row, 0), this.offset(last, 0), this.offset(last + count, 0));
      this.lengths.splice(row, count, ...this.lengths.slice(last));
    }
    this.lengths.length = last;
  }

  /** Makes room for `tokens` a row, and gives back room that is far more than that when all rows are short. */
  private reserve(tokens: number): void {
    const needed = Math.ceil(Math.max(tokens, ...this.lengths) / CAPACITY_STEP) * CAPACITY_STEP;
    if (needed <= this.capacity && needed > this.capacity / 2) return;
    const resized = (old: Float32Array) => {
      const fresh = this.allocate(needed);
      this.lengths.forEach((length, row) => {
        for (let head = 0; head < this.kvHeads; head++) {
          const from = this.offset(row, head);
          const to = (row * this.kvHeads + head) * needed * this.headDim;
          fresh.set(old.subarray(from, from + length * this.headDim), to);
        }
      });
      return fresh;
    };
    this.keys = this.keys.map(resized);
    this.values = this.values.map(resized);
    this.capacity = needed;
  }

  private allocate(capacity: number): Float32Array {
    return new Float32Array(this.maximumRows * this.kvHeads * capacity * this.headDim);
  }

  private offset(row: number, head: number): number {
    return (row * this.kvHeads + head) * this.capacity * this.headDim;
  }

  private *pairs(keys: readonly Float32Array[], values: readonly Float32Array[]) {
    for (let layer = 0; layer < this.keys.length; layer++) {
      yield [this.keys[layer]!, keys[layer]!] as const;
      yield [this.values[layer]!, values[layer]!] as const;
    }
  }
}
