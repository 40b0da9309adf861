import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Embedder } from '../../engine/embeddings/embedder.ts';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import { openModel } from '../../engine/model/weights.ts';
import { headName } from '../../engine/model/decoder.ts';
import { testDevice } from '../gpu/testDevice.ts';
import { absoluteError, describeCases, goldenArrays } from './golden.ts';

interface ForwardCase {
  model_dir: string;
  batch: { rows: number[][] };
  tolerance: Record<'logits', { suggested_atol: number }>;
}

describeCases<ForwardCase>('forward', "vectors of texts, by the model's last hidden states", (golden) => {
  const { batch, tolerance } = golden.info;
  const model = { modelPath: join(golden.folder, golden.info.model_dir), modelDigest: 'model' };
  const texts = batch.rows.map((tokens, row) => ({ id: `row ${row}`, tokens }));
  let cachePath: string;
  beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'embeddings-'))));
  afterAll(() => rmSync(cachePath, { recursive: true }));

  it('the mean of the logits is the head times the vector', async () => {
    const embedder = new Embedder({
      threads: 2,
      device: testDevice,
      decodeBatch: 1,
      microBatchTokens: 4096,
      cachePath,
    });
    const vectors = await embedder.embed({ model, texts });
    await embedder.release();
    const { config, close } = await openModel(model.modelPath);
    await close();
    const file = await readSafetensors(join(model.modelPath, 'model.safetensors'));
    const head = await file.readFloat32(headName(config));
    await file.close();
    const expected = await goldenArrays(golden);
    const logits = await expected.read('logits_f64');
    await expected.close();
    const size = config.vocabularySize;
    let start = 0;
    for (const [row, { tokens }] of texts.entries()) {
      const mean = Array.from({ length: size }, (_, word) =>
        tokens.reduce((sum, _token, at) => sum + logits[(start + at) * size + word]! / tokens.length, 0),
      );
      const projected = mean.map((_, word) =>
        vectors[row]!.reduce((sum, value, at) => sum + value * head[word * config.hiddenSize + at]!, 0),
      );
      expect(vectors[row]).toHaveLength(config.hiddenSize);
      expect(absoluteError(projected, Float64Array.from(mean)), `row ${row}`).toBeLessThan(
        tolerance.logits.suggested_atol,
      );
      start += tokens.length;
    }
  });
});
