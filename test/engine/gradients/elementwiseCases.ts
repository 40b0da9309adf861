/** Operators that work element by element. */
import * as op from '../../../engine/graph/operators.ts';
import { each, positive } from './arithmetic.ts';
import type { OperatorCase } from './checkOperator.ts';

export const elementwise: Record<string, OperatorCase> = {
  add: {
    build: ([a, b]) => op.add(a!, b!),
    shapes: [
      [2, 3],
      [2, 3],
    ],
    forward: ([a, b]) => a!.map((x, i) => x + b![i]!),
  },
  'add, broadcast': {
    build: ([a, b]) => op.add(a!, b!),
    shapes: [[2, 3], [3]],
    forward: ([a, b]) => a!.map((x, i) => x + b![i % 3]!),
  },
  'sub, broadcast to more axes': {
    build: ([a, b]) => op.sub(a!, b!),
    shapes: [[3], [2, 1]],
    forward: ([a, b]) => [...b!].flatMap((y) => [...a!].map((x) => x - y)),
  },
  mul: {
    build: ([a, b]) => op.mul(a!, b!),
    shapes: [
      [2, 3],
      [2, 1],
    ],
    forward: ([a, b]) => a!.map((x, i) => x * b![Math.floor(i / 3)]!),
  },
  'mul by itself': { build: ([a]) => op.mul(a!, a!), shapes: [[4]], forward: each((x) => x * x) },
  div: {
    build: ([a, b]) => op.div(a!, b!),
    shapes: [[4], [4]],
    from: positive,
    forward: ([a, b]) => a!.map((x, i) => x / b![i]!),
  },
  pow: { build: ([a]) => op.pow(a!, 3), shapes: [[4]], forward: each((x) => x ** 3) },
  min: {
    build: ([a, b]) => op.min(a!, b!),
    shapes: [[5], [5]],
    forward: ([a, b]) => a!.map((x, i) => Math.min(x, b![i]!)),
  },
  max: {
    build: ([a, b]) => op.max(a!, b!),
    shapes: [[5], [5]],
    forward: ([a, b]) => a!.map((x, i) => Math.max(x, b![i]!)),
  },
  clip: {
    build: ([a]) => op.clip(a!, -0.5, 0.3),
    shapes: [[8]],
    forward: each((x) => Math.min(Math.max(x, -0.5), 0.3)),
  },
  neg: { build: ([a]) => op.neg(a!), shapes: [[3]], forward: each((x) => -x) },
  exp: { build: ([a]) => op.exp(a!), shapes: [[3]], forward: each(Math.exp) },
  log: { build: ([a]) => op.log(a!), shapes: [[3]], from: positive, forward: each(Math.log) },
  sqrt: { build: ([a]) => op.sqrt(a!), shapes: [[3]], from: positive, forward: each(Math.sqrt) },
  reciprocal: { build: ([a]) => op.reciprocal(a!), shapes: [[3]], from: positive, forward: each((x) => 1 / x) },
  abs: { build: ([a]) => op.abs(a!), shapes: [[4]], forward: each(Math.abs) },
  tanh: { build: ([a]) => op.tanh(a!), shapes: [[3]], forward: each(Math.tanh) },
  sigmoid: { build: ([a]) => op.sigmoid(a!), shapes: [[3]], forward: each((x) => 1 / (1 + Math.exp(-x))) },
  identity: { build: ([a]) => op.identity(a!), shapes: [[3]], forward: each((x) => x) },
  'cast to float64 and back': {
    build: ([a]) => op.cast(op.mul(op.cast(a!, 'float32'), op.cast(a!, 'float32')), a!.dtype),
    shapes: [[3]],
    forward: each((x) => x * x),
    precision: 'float32',
  },
  where: {
    build: ([a, b]) => op.where(op.greater(a!, 0), op.mul(a!, a!), b!),
    shapes: [[5], [5]],
    forward: ([a, b]) => a!.map((x, i) => (x > 0 ? x * x : b![i]!)),
  },
};
