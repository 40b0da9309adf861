/**
 * The balanced binary tree in which a step's gradients are summed: leaves are the groups of sequences in canonical order, a node at height h covers an
 * aligned run of 2^h of them; places past the end are empty and an only child is its parent. So any aligned run of 2^k leaves (a shard) is
 * a sub-tree, and sums over shards continue the same tree: bits depend neither on how leaves are grouped into runs nor on when they arrive.
 * Additions are float32.
 */
export class TreeSum {
  private readonly count: number;
  private readonly nodes = new Map<string, Float32Array>();

  /** @param count leaves that will come, at places 0 .. count - 1 */
  constructor(count: number) {
    if (!Number.isInteger(count) || count < 1) throw new RangeError(`a sum of ${count} terms`);
    this.count = count;
  }

  /** Takes a leaf (whose memory becomes the sum's own) and adds up whatever is complete. Leaves may come in any order. */
  add(place: number, values: Float32Array): void {
    let sum = values;
    for (let height = 0; ; height++) {
      const width = 2 ** height;
      const index = Math.floor(place / width);
      if (width >= this.count) {
        this.nodes.set('total', sum);
        return;
      }
      const sibling = index ^ 1;
      // Past the end: an only child is its parent.
      if (sibling * width >= this.count) continue;
      const other = this.nodes.get(`${height}/${sibling}`);
      if (!other) {
        this.nodes.set(`${height}/${index}`, sum);
        return;
      }
      this.nodes.delete(`${height}/${sibling}`);
      const [left, right] = sibling < index ? [other, sum] : [sum, other];
      for (let i = 0; i < left.length; i++) left[i]! += right[i]!;
      sum = left;
    }
  }

  /** The sum, once every leaf has come. */
  total(): Float32Array {
    const total = this.nodes.get('total');
    if (!total) throw new Error('the sum is not complete');
    return total;
  }
}
