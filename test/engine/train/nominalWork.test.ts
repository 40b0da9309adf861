import { expect, test } from 'vitest';
import { nominalGflop } from '../../../engine/train/nominalWork.ts';
import { TINY } from './randomModel.ts';

/** 2 layers, hidden 32, 4 heads of 8, 2 of keys, intermediate 48, vocabulary 64. */
const [layers, hidden, keys, intermediate, vocabulary] = [2, 32, 16, 48, 64];
const shape = { rows: 3, length: 10, completionTokens: 7 };
const tokens = shape.rows * shape.length;

test('counts frozen weights four times, small matrices six times, attention over the square, the head for completions', () => {
  const projections = layers * (2 * hidden * hidden + 2 * hidden * keys + 3 * hidden * intermediate);
  const frozen = 4 * projections * tokens + 4 * hidden * vocabulary * shape.completionTokens;
  const attention = 12 * layers * hidden * shape.length * tokens;
  const without = nominalGflop(TINY, { rank: 4, targets: [] }, shape);
  expect(without * 1e9).toBeCloseTo(frozen + attention, 3);

  const adapted = nominalGflop(
    TINY,
    { rank: 4, targets: ['q_proj', 'up_proj'], rankPattern: { 'layers.0.mlp.up_proj': 8 } },
    shape,
  );
  const ranks = layers * 4 * (hidden + hidden) + (4 + 8) * (hidden + intermediate);
  expect((adapted - without) * 1e9).toBeCloseTo(6 * ranks * tokens, 3);
});
