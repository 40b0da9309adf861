/** How each loss type of TRL adds up the losses of a batch's tokens. */

export interface BatchMask {
  /** 1 = a completion token; row-major [rows, width]. */
  mask: ArrayLike<number>;
  rows: number;
  /** Equal parts that the batch is cut into. */
  microBatches: number;
  maxCompletionLength?: number | undefined;
}

/** Weight of each token's loss, [rows * width]; `undefined` is RLOO, which has no loss type. */
export function lossWeights(lossType: string | undefined, batch: BatchMask): Float64Array {
  const { mask, rows, microBatches } = batch;
  const width = mask.length / rows;
  const sumOf = (firstRow: number, lastRow: number) => {
    let sum = 0;
    for (let i = firstRow * width; i < lastRow * width; i++) sum += mask[i]!;
    return sum;
  };
  const weightOf = (row: number): number => {
    switch (lossType) {
      case undefined: // mean over rows
      case 'grpo':
        return 1 / (rows * Math.max(sumOf(row, row + 1), 1));
      case 'dr_grpo':
        return 1 / (rows * batch.maxCompletionLength!);
      case 'bnpo': {
        // Token mean of each micro-batch: the one normaliser that depends on how the batch is cut.
        const part = Math.floor((row * microBatches) / rows);
        const tokens = sumOf((part * rows) / microBatches, ((part + 1) * rows) / microBatches);
        return 1 / (tokens * microBatches);
      }
      case 'dapo':
      case 'cispo':
        return 1 / sumOf(0, rows);
      default:
        throw new Error(`the reference's loss type '${lossType}' has no normaliser here`);
    }
  };
  return Float64Array.from(mask, (value, i) => value * weightOf(Math.floor(i / width)));
}
