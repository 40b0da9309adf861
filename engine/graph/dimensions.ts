/**
 * Dimensions of tensors: a number, or a symbol known only at run time (`batch`), or a product of both (`3*batch*sequence`, number first, symbols sorted).
 * Two symbolic dimensions are the same if and only if their texts are.
 */
export type Dimension = number | string;
export type Shape = readonly Dimension[];

/** Splits a product into its numeric coefficient and its symbols. */
export function factorsOf(dimension: Dimension): { coefficient: number; symbols: string[] } {
  if (typeof dimension === 'number') return { coefficient: dimension, symbols: [] };
  let coefficient = 1;
  const symbols: string[] = [];
  for (const factor of dimension.split('*')) {
    if (/^\d+$/.test(factor)) coefficient *= Number(factor);
    else symbols.push(factor);
  }
  return { coefficient, symbols: symbols.sort() };
}

function fromFactors(coefficient: number, symbols: readonly string[]): Dimension {
  if (symbols.length === 0 || coefficient === 0) return coefficient;
  return [...(coefficient === 1 ? [] : [String(coefficient)]), ...[...symbols].sort()].join('*');
}

/** The product of dimensions; of none, 1. */
export function productOf(dimensions: Shape): Dimension {
  let coefficient = 1;
  const symbols: string[] = [];
  for (const dimension of dimensions) {
    const factors = factorsOf(dimension);
    coefficient *= factors.coefficient;
    symbols.push(...factors.symbols);
  }
  return fromFactors(coefficient, symbols);
}

/** a / b if b's factors are among a's, else undefined. */
export function quotientOf(a: Dimension, b: Dimension): Dimension | undefined {
  const over = factorsOf(a);
  const under = factorsOf(b);
  if (under.coefficient === 0 || over.coefficient % under.coefficient !== 0) return undefined;
  const left = [...over.symbols];
  for (const symbol of under.symbols) {
    const at = left.indexOf(symbol);
    if (at < 0) return undefined;
    left.splice(at, 1);
  }
  return fromFactors(over.coefficient / under.coefficient, left);
}

/** a + b: a new symbol unless both are numbers or one is 0. */
export function sumOf(a: Dimension, b: Dimension): Dimension {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (a === 0) return b;
  if (b === 0) return a;
  return `(${[a, b].map((part) => String(part).replaceAll('*', '·')).join('+')})`;
}

/** The shape two operands broadcast to (numpy's rule), or undefined if they can't be shown to. */
export function broadcastShapes(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const result: Dimension[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left === right || right === 1) result.push(left);
    else if (left === 1) result.push(right);
    else return undefined;
  }
  return result;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

export function formatShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}
