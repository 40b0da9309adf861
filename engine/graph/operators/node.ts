/** What every operator is made of: its node, checks of its operands. */
import type { Attribute, DataType, Graph, Value } from '../builder.ts';
import { formatShape } from '../dimensions.ts';
import type { Shape } from '../dimensions.ts';

export type Operand = Value | number;

export const MICROSOFT = 'com.microsoft';

export function fail(operator: string, message: string): never {
  throw new TypeError(`${operator}: ${message}`);
}

export const described = (value: Value) => `${value.name} (${value.dtype} ${formatShape(value.shape)})`;

export function one(
  graph: Graph,
  operator: string,
  inputs: (Value | undefined)[],
  dtype: DataType,
  shape: Shape,
  attributes: Record<string, Attribute> = {},
  domain = '',
): Value {
  return graph.node(operator, inputs, [{ dtype, shape }], attributes, domain)[0]!;
}

export function axisOf(operator: string, value: Value, axis: number): number {
  const rank = value.shape.length;
  const positive = axis < 0 ? axis + rank : axis;
  if (positive < 0 || positive >= rank) fail(operator, `axis ${axis} is outside ${described(value)}`);
  return positive;
}

/** An operator of one operand, with its type and shape. */
export function unary(operator: string, x: Value, attributes: Record<string, Attribute> = {}, domain = ''): Value {
  return one(x.graph.insertion, operator, [x], x.dtype, x.shape, attributes, domain);
}
