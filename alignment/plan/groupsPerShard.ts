/** Groups of samples in a gradient shard of about `shardSequences` sequences: a power of two, so that shards are aligned sub-trees of the sum. */
export const groupsPerShard = (shardSequences: number, groupSize: number): number =>
  2 ** Math.round(Math.log2(Math.max(1, shardSequences / groupSize)));
