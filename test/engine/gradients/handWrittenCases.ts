/** Parts of the model whose gradients are written by hand. */
import type { Graph, Value } from '../../../engine/graph/builder.ts';
import * as op from '../../../engine/graph/operators.ts';
import { attentionMask, maskedAttention } from '../../../engine/model/decoder.ts';
import { sequenceSums } from '../../../engine/train/objectives/sequenceSums.ts';
import { toPositions, toSlots } from '../../../engine/train/packedRows.ts';
import { gatherRows, HEAD_CHUNK, tokenLogProbs } from '../../../engine/train/tokenLogProbs.ts';
import { TINY } from '../train/randomModel.ts';
import { softmax, sum } from './arithmetic.ts';
import type { OperatorCase } from './checkOperator.ts';

const ATTENTION = { ...TINY, heads: 2, kvHeads: 1, headDim: 2 };
const TEMPERATURE = 0.8;
/** An embedding of 5 tokens: a table of sines. */
const EMBEDDING = Float32Array.from({ length: 15 }, (_, i) => Math.sin(i + 1));
const headOf = (hidden: Value, graph: Graph) =>
  tokenLogProbs(
    hidden,
    graph.constant(EMBEDDING, 'float32', [5, 3]),
    op.integers(
      graph,
      Array.from({ length: HEAD_CHUNK }, (_, i) => (3 * i) % 5),
    ),
    op.scalar(graph, TEMPERATURE),
    op.scalar(graph, 1, 'bool'),
    true,
  );
/** log p of each of the 5 tokens after each row. */
const headLogs = (hidden: Float64Array) =>
  Array.from({ length: HEAD_CHUNK }, (_, row) => {
    const scores = [0, 1, 2, 3, 4].map(
      (token) => sum([0, 1, 2].map((i) => hidden[row * 3 + i]! * EMBEDDING[token * 3 + i]!)) / TEMPERATURE,
    );
    return [...softmax(Float64Array.from(scores)).map(Math.log)];
  });

/** A row of 6 positions, the last of them padding: one shared token in two slots, two members of two tokens, in three slots each. */
const slotsOf = (graph: Graph) => {
  const indices = (values: number[], shape: number[]) => op.reshape(op.integers(graph, values), shape);
  return {
    rows: [1, 6],
    prefixRows: indices([0, 5], [1, 2]),
    ownRows: indices([1, 2, 5, 3, 4, 5], [1, 2, 3]),
    slotOfPosition: op.integers(graph, [0, 2, 3, 5, 6, 8]),
  };
};
const positionOfSlot = [0, 5, 1, 2, 5, 3, 4, 5];
/** Positions of [1, 6, 2] in the order of the slots, spare ones zero. */
const inSlots = (x: ArrayLike<number>) =>
  positionOfSlot.flatMap((position) => (position === 5 ? [0, 0] : [x[2 * position]!, x[2 * position + 1]!]));

export const handWritten: Record<string, OperatorCase> = {
  fullAttention: {
    build: ([query, key, value], graph) => {
      const mask = graph.constant(attentionMask(ATTENTION, 3), 'float32', [3, 3]);
      return maskedAttention(ATTENTION, { query: query!, key: key!, value: value!, mask });
    },
    shapes: [
      [1, 2, 3, 2],
      [1, 1, 3, 2],
      [1, 1, 3, 2],
    ],
    forward: ([query, key, value]) =>
      [0, 1].flatMap((head) =>
        [0, 1, 2].flatMap((t) => {
          const seen = Array.from({ length: t + 1 }, (_, at) => at);
          const scores = seen.map((at) =>
            sum([0, 1].map((i) => (query![head * 6 + t * 2 + i]! * key![at * 2 + i]!) / Math.SQRT2)),
          );
          const weights = softmax(Float64Array.from(scores));
          return [0, 1].map((i) => sum(seen.map((at) => weights[at]! * value![at * 2 + i]!)));
        }),
      ),
  },
  toSlots: {
    build: ([x], graph) => {
      const slots = slotsOf(graph);
      const { prefix, own } = toSlots(op.reshape(x!, [1, 6, 1, 2]), slots);
      const filled = graph.constant(
        Float32Array.from(positionOfSlot, (position) => (position === 5 ? 0 : 1)),
        'float32',
        [8, 1],
      );
      return op.mul(op.concat([op.reshape(prefix, [2, 2]), op.reshape(own, [6, 2])], 0), filled);
    },
    shapes: [[1, 6, 2]],
    forward: ([x]) => inSlots(x!),
  },
  toPositions: {
    build: ([prefix, own], graph) => {
      // Padding is read by nobody, so its gradient is 0.
      const read = graph.constant(Float32Array.of(1, 1, 1, 1, 1, 0), 'float32', [6, 1]);
      return op.mul(toPositions(prefix!, own!, slotsOf(graph)), read);
    },
    shapes: [
      [1, 2, 2],
      [2, 3, 2],
    ],
    forward: ([prefix, own]) => [...prefix!.slice(0, 2), ...own!.slice(0, 4), ...own!.slice(6, 10), ...[0, 0]],
  },
  tokenLogProbs: {
    build: ([hidden], graph) => headOf(hidden!, graph).logProbs,
    shapes: [[HEAD_CHUNK, 3]],
    forward: ([hidden]) => headLogs(hidden!).map((logs, i) => logs[(3 * i) % 5]!),
  },
  entropy: {
    build: ([hidden], graph) => headOf(hidden!, graph).entropy(),
    shapes: [[HEAD_CHUNK, 3]],
    forward: ([hidden]) => headLogs(hidden!).map((logs) => -sum(logs.map((log) => log * Math.exp(log)))),
  },
  gatherRows: {
    build: ([a], graph) => gatherRows(a!, op.integers(graph, [3, 0, 1]), op.integers(graph, [1, 2, 3, 0])),
    shapes: [[4, 2]],
    forward: ([a]) => [6, 7, 0, 1, 2, 3].map((i) => a![i]!),
  },
  sequenceSums: {
    build: ([a], graph) => {
      const indices = op.integers(graph, [0, 0, 1, 0, 1]);
      return sequenceSums(a!, { indices, members: graph.constant(new Float32Array(5).fill(1), 'float32', [5]) });
    },
    shapes: [[5]],
    forward: ([a]) => {
      const [first, second] = [a![0]! + a![1]! + a![3]!, a![2]! + a![4]!];
      return [first, first, second, first, second];
    },
  },
};
