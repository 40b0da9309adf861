/**
 * One function per operator. Each checks types and shapes, adds its node where the model's insertion point is, and returns the new value(s).
 * A number in place of a value stands for a scalar constant of the other operand's type. Gradients: gradients.ts.
 */
export type { Operand } from './operators/node.ts';
export * from './operators/constants.ts';
export * from './operators/elementwise.ts';
export * from './operators/products.ts';
export * from './operators/alongAxis.ts';
export * from './operators/normalisation.ts';
export * from './operators/shape.ts';
export * from './operators/indexing.ts';
export * from './operators/control.ts';
