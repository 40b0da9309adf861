import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readGguf } from '../../../engine/formats/gguf.ts';
import { readSafetensors, writeSafetensors } from '../../../engine/formats/safetensors.ts';
import { EngineError } from '../../../engine/policy.ts';
import { loadTokenizer } from '../../../engine/tokenizer/tokenizer.ts';
import { ggufBytes, i32s, text, texts, u32 } from './ggufBytes.ts';
import { randomNumbers, type RandomNumbers } from './randomNumbers.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-fuzz-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const absurd = [2n ** 64n - 1n, 2n ** 63n, 2n ** 53n, 2n ** 40n, 2n ** 32n, 2n ** 31n - 1n, 0n];

/** Cuts the file, flips bits, or writes an absurd number, in its header more often than behind it. */
function damage(bytes: Buffer, headerBytes: number, random: RandomNumbers): Buffer {
  const damaged = Buffer.from(bytes);
  const place = () => random(random(4) > 0 ? headerBytes : bytes.length);
  switch (random(4)) {
    case 0:
      return damaged.subarray(0, place());
    case 1:
      for (let flips = 1 + random(4); flips > 0; flips--) damaged[place()]! ^= 1 << random(8);
      return damaged;
    case 2: {
      const at = Math.min(place(), bytes.length - 8);
      damaged.writeBigUInt64LE(absurd[random(absurd.length)]!, at);
      return damaged;
    }
    default:
      for (let changes = 1 + random(8); changes > 0; changes--) damaged[place()] = random(256);
      return damaged;
  }
}

/** Damages the file many times; whatever reads it must succeed or throw an EngineError, without taking much memory. */
async function survives(bytes: Buffer, headerBytes: number, read: (path: string) => Promise<void>): Promise<number> {
  const path = join(folder, 'damaged.gguf');
  await writeFile(path, bytes);
  await read(path);
  const random = randomNumbers(20_251_124);
  let refused = 0;
  for (let round = 0; round < 1500; round++) {
    const before = process.memoryUsage().arrayBuffers;
    await writeFile(path, damage(bytes, headerBytes, random));
    try {
      await read(path);
    } catch (error) {
      if (!(error instanceof EngineError) || error.kind !== 'invalidInput')
        throw new Error(`round ${round}`, { cause: error });
      refused++;
    }
    const grown = process.memoryUsage().arrayBuffers - before;
    if (grown > 16 * 2 ** 20) throw new Error(`round ${round} took ${grown} bytes`);
  }
  return refused;
}

describe('damaged files', () => {
  it('safetensors: refused with an EngineError or read, never worse', async () => {
    const path = join(folder, 'whole.safetensors');
    await writeSafetensors(
      path,
      ['a', 'layers.0.weight', 'layers.1.weight'].map((name, i) => ({
        name,
        shape: [i + 1, 4],
        data: new Float32Array(4 * (i + 1)),
      })),
      { format: 'pt' },
    );
    const bytes = await readFile(path);
    const refused = await survives(bytes, 8 + Number(bytes.readBigUInt64LE()), async (damaged) => {
      const file = await readSafetensors(damaged);
      try {
        for (const name of file.tensors.keys()) await file.readFloat32(name);
      } finally {
        await file.close();
      }
    });
    expect(refused).toBeGreaterThan(800);
  });

  it('GGUF with a tokenizer: refused with an EngineError or read, never worse', async () => {
    const tokens = ['<|x|>', 'a', 'b', 'ab', 'Ġ'];
    const tensors = [8, 2, 14, 30].map((type, i) => ({
      name: `blk.${i}.attn_q.weight`,
      dimensions: [256, 2],
      type,
      offset: i * 2048,
    }));
    const bytes = ggufBytes({
      metadata: [
        ['general.architecture', 8, text('llama')],
        ['tokenizer.ggml.model', 8, text('gpt2')],
        ['tokenizer.ggml.pre', 8, text('smollm')],
        ['tokenizer.ggml.tokens', 9, texts(tokens)],
        ['tokenizer.ggml.token_type', 9, i32s([3, 1, 1, 1, 1])],
        ['tokenizer.ggml.merges', 9, texts(['a b'])],
        ['tokenizer.ggml.eos_token_id', 4, u32(0)],
      ],
      tensors,
      data: new Uint8Array(4 * 2048),
    });
    const refused = await survives(bytes, bytes.length - 4 * 2048, async (damaged) => {
      const file = await readGguf(damaged);
      try {
        for (const name of file.tensors.keys()) await file.readFloat32(name);
      } finally {
        await file.close();
      }
      const tokenizer = await loadTokenizer(damaged);
      tokenizer.decode(tokenizer.encode('ab a<|x|>', { allowSpecial: true }), { skipSpecial: true });
    });
    expect(refused).toBeGreaterThan(600);
  });
});
