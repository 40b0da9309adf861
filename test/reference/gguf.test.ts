import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { readGguf } from '../../engine/formats/gguf.ts';
import { parseConfigJson } from '../../engine/formats/configJson.ts';
import { readSafetensors } from '../../engine/formats/safetensors.ts';
import { openModel } from '../../engine/model/weights.ts';
import { smollm2Gguf } from './ggufModel.ts';

const golden = '../shared/golden/gguf';
const sha256 = (values: Float32Array) =>
  createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');
const bits = (values: Float32Array) =>
  Buffer.from(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)).toString('hex');

interface GgufCase {
  file: string;
  tied_embeddings: boolean;
  tensors: Record<string, { shape: number[]; sha256: string; gguf_name?: string }>;
}
const readCase = async (name: string) => JSON.parse(await readFile(`${golden}/${name}/case.json`, 'utf8')) as GgufCase;

const present = existsSync(golden);
const smollm2 = present ? await smollm2Gguf() : undefined;
if (!present) console.warn(`skipped: the reference numbers are not at ${golden}`);

describe.skipIf(!present)('GGUF against gguf-py and Transformers', () => {
  it.each(['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_1', 'q5_0', 'q5_1', 'q2_k', 'q3_k', 'q4_k', 'q5_k', 'q6_k'])(
    'dequantises edge blocks of %s to the same bits',
    async (type) => {
      const blocks = await readGguf(`${golden}/blocks/blocks.gguf`);
      const expected = await readSafetensors(`${golden}/blocks/expected.safetensors`);
      const name = [...blocks.tensors.keys()].find((key) => key.toLowerCase().startsWith(type));
      expect(name).toBeDefined();
      expect(blocks.tensors.get(name!)!.shape).toEqual([4, 512]);
      const [ours, theirs] = [await blocks.readFloat32(name!), await expected.readFloat32(type)];
      for (let i = 0; i < theirs.length; i++)
        if (!Object.is(ours[i], theirs[i])) expect([i, ours[i]]).toEqual([i, theirs[i]]);
      expect(bits(ours)).toBe(bits(theirs));
      await blocks.close();
      await expected.close();
    },
  );

  it.each([
    ...['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_1', 'q5_0', 'q5_1', 'k_quants'].map((type) => `llama_${type}`),
    'qwen2_q8_0',
  ])('reads every tensor of %s under its Hugging Face name, q and k in Hugging Face order', async (name) => {
    const reference = await readCase(name);
    const model = await openModel(`${golden}/${name}/${reference.file}`);
    expect(model.config.tiedEmbeddings).toBe(reference.tied_embeddings);
    expect([...model.tensors.keys()].sort()).toEqual(Object.keys(reference.tensors).sort());
    for (const [tensor, { shape, sha256: digest }] of Object.entries(reference.tensors)) {
      expect(model.tensors.get(tensor)).toEqual(shape);
      expect([tensor, sha256(await model.readTensor(tensor))]).toEqual([tensor, digest]);
    }
    const json = JSON.parse(await readFile(`${golden}/${name}/config.json`, 'utf8')) as Record<string, unknown>;
    const { bosToken: _b, eosTokens: _e, padToken: _p, ...shape } = model.config;
    const { bosToken: _b2, eosTokens: _e2, padToken: _p2, ...expectedShape } = parseConfigJson('config.json', json);
    // The reference's own conversion left the float32 rounding in its config.json.
    expect(shape).toEqual({ ...expectedShape, rmsNormEpsilon: Number(expectedShape.rmsNormEpsilon.toPrecision(6)) });
    await model.close();
  });

  it.skipIf(!smollm2)('reads SmolLM2-135M-Instruct', async () => {
    const reference = await readCase('smollm2');
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
    for (const [tensor, { shape, sha256: digest }] of Object.entries(reference.tensors)) {
      expect(model.tensors.get(tensor)).toEqual(shape);
      expect([tensor, sha256(await model.readTensor(tensor))]).toEqual([tensor, digest]);
    }
    await model.close();
  });
});
