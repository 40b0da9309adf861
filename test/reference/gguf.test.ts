import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseConfigJson } from '../../engine/formats/configJson.ts';
import { readGguf } from '../../engine/formats/gguf.ts';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import { convertedWeights } from '../../engine/model/weightFile.ts';
import { openModel } from '../../engine/model/weights.ts';
import { loadTokenizer } from '../../engine/tokenizer/tokenizer.ts';
import { logitsOf } from './decoderGraph.ts';
import { absoluteError, describeCases, goldenArrays, hasCases } from './golden.ts';
import { smollm2Gguf } from './ggufModel.ts';

const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const sha256 = (values: Float32Array) => createHash('sha256').update(bytesOf(values)).digest('hex');

interface BlocksCase {
  file: string;
  arrays: Record<'expected.safetensors', Record<string, { shape: number[] }>>;
}

describeCases<BlocksCase>('ggufBlocks', 'edge blocks against gguf-py', (golden) => {
  const expectedArrays = golden.info.arrays['expected.safetensors'];
  it.each(Object.keys(expectedArrays))('dequantises %s to the same bits', async (name) => {
    const blocks = await readGguf(join(golden.folder, golden.info.file));
    const expected = await readSafetensors(join(golden.folder, 'expected.safetensors'));
    expect(blocks.tensors.get(name)?.shape).toEqual(expectedArrays[name]!.shape);
    const [ours, theirs] = [await blocks.readFloat32(name), await expected.readFloat32(name)];
    for (let i = 0; i < theirs.length; i++)
      if (!Object.is(ours[i], theirs[i])) expect([i, ours[i]]).toEqual([i, theirs[i]]);
    expect(Buffer.from(bytesOf(ours)).equals(bytesOf(theirs))).toBe(true);
    await blocks.close();
    await expected.close();
  });
});

interface ModelCase {
  file: string;
  tied_embeddings: boolean;
  rows: number[][];
  tensors: Record<string, { shape: number[]; sha256: string }>;
  tokenizer?: { text: string; ids: number[] };
  tolerance: { logits: { suggested_atol: number } };
}

describeCases<ModelCase>('ggufModel', 'a model in GGUF against gguf-py and Transformers', (golden) => {
  const { info } = golden;
  const path = join(golden.folder, info.file);
  let cachePath: string;
  beforeAll(() => void (cachePath = mkdtempSync(join(tmpdir(), 'gguf-'))));
  afterAll(() => rmSync(cachePath, { recursive: true }));

  it('every tensor under its Hugging Face name, q and k in Hugging Face order', async () => {
    const model = await openModel(path);
    expect(model.config.tiedEmbeddings).toBe(info.tied_embeddings);
    expect([...model.tensors.keys()].sort()).toEqual(Object.keys(info.tensors).sort());
    for (const [tensor, { shape, sha256: digest }] of Object.entries(info.tensors)) {
      expect(model.tensors.get(tensor)).toEqual(shape);
      expect([tensor, sha256(await model.readTensor(tensor))]).toEqual([tensor, digest]);
    }
    const json = JSON.parse(await readFile(join(golden.folder, 'config.json'), 'utf8')) as Record<string, unknown>;
    const { bosToken: _b, eosTokens: _e, padToken: _p, ...shape } = model.config;
    const { bosToken: _b2, eosTokens: _e2, padToken: _p2, ...expectedShape } = parseConfigJson('config.json', json);
    // The reference's own conversion left the float32 rounding in its config.json.
    expect(shape).toEqual({ ...expectedShape, rmsNormEpsilon: Number(expectedShape.rmsNormEpsilon.toPrecision(6)) });
    await model.close();
  });

  it('logits', async () => {
    const weightFile = await convertedWeights({ modelPath: path, modelDigest: 'model' }, cachePath);
    const expected = await goldenArrays(golden);
    expect(absoluteError(await logitsOf(weightFile, info.rows), await expected.read('logits_f64'))).toBeLessThan(
      info.tolerance.logits.suggested_atol,
    );
    await expected.close();
  });

  const { tokenizer: expectedTokens } = info;
  if (expectedTokens)
    it('its tokenizer', async () => {
      const tokenizer = await loadTokenizer(path);
      expect(tokenizer.encode(expectedTokens.text, { allowSpecial: true })).toEqual(expectedTokens.ids);
    });
});

interface DigestsCase {
  tensors: Record<string, { shape: number[]; sha256: string }>;
}

const smollm2 = hasCases('ggufDigests') ? await smollm2Gguf() : undefined;

describeCases<DigestsCase>('ggufDigests', 'SmolLM2-135M-Instruct in GGUF', (golden) => {
  it.skipIf(!smollm2)('tensors by digest', async () => {
    const model = await openModel(smollm2!);
    expect(model.config).toMatchObject({
      layers: 30,
      hiddenSize: 576,
      heads: 9,
      kvHeads: 3,
      headDim: 64,
      ropeTheta: 100_000,
      contextLength: 8192,
    });
    for (const [tensor, { shape, sha256: digest }] of Object.entries(golden.info.tensors)) {
      expect(model.tensors.get(tensor)).toEqual(shape);
      expect([tensor, sha256(await model.readTensor(tensor))]).toEqual([tensor, digest]);
    }
    await model.close();
  });
});
