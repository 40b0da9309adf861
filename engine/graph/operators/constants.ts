/** Constants inside a graph. */
import type { DataType, Graph, Value } from '../builder.ts';
import { cast } from './elementwise.ts';

/** A scalar constant, shape []. */
export function scalar(graph: Graph, value: number, dtype: DataType = 'float32'): Value {
  switch (dtype) {
    case 'float32':
      return graph.constant(Float32Array.of(value), dtype, []);
    case 'float64':
      return graph.constant(Float64Array.of(value), dtype, []);
    case 'int32':
      return graph.constant(Int32Array.of(value), dtype, []);
    case 'int64':
      return graph.constant(BigInt64Array.of(BigInt(value)), dtype, []);
    case 'uint8':
      return graph.constant(Uint8Array.of(value), dtype, []);
    case 'bool':
      return graph.constant(Uint8Array.of(value ? 1 : 0), dtype, []);
    case 'float16':
      return cast(scalar(graph, value), 'float16');
  }
}

/** A 1-D int64 constant. */
export function integers(graph: Graph, values: readonly number[]): Value {
  return graph.constant(BigInt64Array.from(values.map(BigInt)), 'int64', [values.length]);
}
