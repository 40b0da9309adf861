import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readGguf } from '../../engine/formats/gguf.ts';
import { f32, ggufBytes, text, u32 } from '../engine/formats/ggufBytes.ts';
import { writeQ8Gguf } from './q8Gguf.ts';

test('matrices become Q8_0 within half a step, vectors stay, metadata is kept', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'q8-'));
  const matrix = Float32Array.from({ length: 3 * 64 }, (_, i) => Math.sin(i * i) * 10 ** ((i >> 5) - 3));
  matrix.fill(0, 0, 32);
  const vector = Float32Array.of(0.1, -0.2, 0.3, 1e-9);
  const bytes = ggufBytes({
    metadata: [
      ['general.architecture', 8, text('llama')],
      ['llama.block_count', 4, u32(7)],
      ['some.number', 6, f32(0.5)],
    ],
    tensors: [
      { name: 'matrix', dimensions: [64, 3], type: 0, offset: 0 },
      { name: 'vector', dimensions: [4], type: 0, offset: matrix.byteLength },
    ],
    data: Buffer.concat([Buffer.from(matrix.buffer), Buffer.from(vector.buffer)]),
  });
  writeFileSync(join(folder, 'source.gguf'), bytes);
  await writeQ8Gguf(join(folder, 'source.gguf'), join(folder, 'q8.gguf'));

  const written = await readGguf(join(folder, 'q8.gguf'));
  expect(Object.fromEntries(written.metadata)).toEqual({
    'general.architecture': 'llama',
    'llama.block_count': 7,
    'some.number': 0.5,
  });
  expect(written.tensors.get('matrix')).toMatchObject({ shape: [3, 64], type: 8 });
  expect(written.tensors.get('vector')).toMatchObject({ shape: [4], type: 0 });
  expect(await written.readFloat32('vector')).toEqual(vector);
  const values = await written.readFloat32('matrix');
  for (let block = 0; block < values.length / 32; block++) {
    const own = matrix.subarray(block * 32, block * 32 + 32);
    const step = Math.max(...own.map(Math.abs)) / 127;
    own.forEach((value, i) => {
      // Half a step, and the rounding of the scale to float16 (2^-11 of the value).
      expect(Math.abs(values[block * 32 + i]! - value)).toBeLessThanOrEqual(
        0.5 * step + Math.abs(value) / 2048 + 1e-12,
      );
    });
  }
  await written.close();
});
