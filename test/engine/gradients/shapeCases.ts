/** Operators that move elements, or choose some. */
import * as op from '../../../engine/graph/operators.ts';
import { each } from './arithmetic.ts';
import type { OperatorCase } from './checkOperator.ts';

export const shapes: Record<string, OperatorCase> = {
  reshape: { build: ([a]) => op.reshape(a!, [3, 2]), shapes: [[2, 3]], forward: each((x) => x) },
  transpose: {
    build: ([a]) => op.transpose(a!, [1, 0]),
    shapes: [[2, 3]],
    forward: ([a]) => [0, 3, 1, 4, 2, 5].map((i) => a![i]!),
  },
  'transpose, three axes': {
    build: ([a]) => op.transpose(a!, [2, 0, 1]),
    shapes: [[2, 3, 2]],
    forward: ([a]) => [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11].map((i) => a![i]!),
  },
  expand: {
    build: ([a]) => op.expand(a!, [2, 3]),
    shapes: [[2, 1]],
    forward: ([a]) => [0, 0, 0, 1, 1, 1].map((i) => a![i]!),
  },
  'expand to more axes': {
    build: ([a]) => op.expand(a!, [2, 2, 3]),
    shapes: [[1, 3]],
    forward: ([a]) => [0, 1, 2, 3].flatMap(() => [...a!]),
  },
  'unsqueeze, squeeze': {
    build: ([a]) => op.squeeze(op.unsqueeze(a!, [0]), [0]),
    shapes: [[3]],
    forward: each((x) => x),
  },
  concat: {
    build: ([a, b]) => op.concat([a!, b!], 1),
    shapes: [
      [2, 1],
      [2, 2],
    ],
    forward: ([a, b]) => [a![0]!, b![0]!, b![1]!, a![1]!, b![2]!, b![3]!],
  },
  'slice, from the end': {
    build: ([a]) => op.slice(a!, 1, 1, -1),
    shapes: [[2, 4]],
    forward: ([a]) => [1, 2, 5, 6].map((i) => a![i]!),
  },
  split: {
    build: ([a]) => {
      const [first, second] = op.split(a!, 0, [2, 1]);
      return op.mul(first!, second!);
    },
    shapes: [[3]],
    forward: ([a]) => [a![0]! * a![2]!, a![1]! * a![2]!],
  },
  'split, a part unused': {
    build: ([a]) => op.mul(op.split(a!, 1, [1, 2, 1])[1]!, 2),
    shapes: [[2, 4]],
    forward: ([a]) => [1, 2, 5, 6].map((i) => 2 * a![i]!),
  },
  'gather, a row twice': {
    build: ([a], graph) => op.gather(a!, op.integers(graph, [2, 0, 2])),
    shapes: [[3, 2]],
    forward: ([a]) => [4, 5, 0, 1, 4, 5].map((i) => a![i]!),
  },
  gatherElements: {
    build: ([a], graph) => op.gatherElements(a!, op.reshape(op.integers(graph, [1, 2]), [2, 1]), 1),
    shapes: [[2, 3]],
    forward: ([a]) => [a![1]!, a![5]!],
  },
  'gatherElements, one twice': {
    build: ([a], graph) => op.gatherElements(a!, op.reshape(op.integers(graph, [1, 0, 1, 2]), [2, 2]), 0),
    shapes: [[3, 2]],
    forward: ([a]) => [2, 1, 2, 5].map((i) => a![i]!),
  },
};
