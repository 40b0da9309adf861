/** RMS normalisation and rotary positions. */
import type { Value } from '../builder.ts';
import { sameShape } from '../dimensions.ts';
import { MICROSOFT, described, fail, one } from './node.ts';

/** x / sqrt(mean(x^2) + epsilon) * scale over the last axis, and 1 / sqrt(mean(x^2) + epsilon), last dimension 1. */
export function rmsNorm(x: Value, scale: Value, epsilon: number): { normalized: Value; inverseDeviation: Value } {
  const operator = 'SimplifiedLayerNormalization';
  if (scale.shape.length !== 1 || scale.shape[0] !== x.shape.at(-1))
    fail(operator, `${described(scale)} is no scale for ${described(x)}`);
  const outputs = [
    { dtype: x.dtype, shape: x.shape },
    { dtype: 'float32' as const, shape: [...x.shape.slice(0, -1), 1] },
  ];
  const [normalized, inverseDeviation] = x.graph.insertion.node(operator, [x, scale], outputs, {
    axis: -1,
    epsilon: { float: epsilon },
    stash_type: 1,
  });
  return { normalized: normalized!, inverseDeviation: inverseDeviation! };
}

/**
 * Rotary position embedding, the two halves of a head turned against each other (Llama's layout).
 * x is [batch, heads, sequence, headDim]; positions [batch, sequence] (int64), or [1] = position of the first token, counting up; cos and sin
 * [positions, headDim / 2].
 */
export function rotaryEmbedding(x: Value, positions: Value, cos: Value, sin: Value): Value {
  const operator = 'RotaryEmbedding';
  if (x.shape.length !== 4) fail(operator, `${described(x)} is not [batch, heads, sequence, headDim]`);
  if (!sameShape(cos.shape, sin.shape) || cos.shape.length !== 2)
    fail(operator, `cos ${described(cos)}, sin ${described(sin)}`);
  if (typeof x.shape[3] === 'number' && cos.shape[1] !== x.shape[3] / 2)
    fail(operator, `${described(cos)} does not fit ${described(x)}`);
  return one(x.graph.insertion, operator, [x, positions, cos, sin], x.dtype, x.shape, { interleaved: 0 }, MICROSOFT);
}
