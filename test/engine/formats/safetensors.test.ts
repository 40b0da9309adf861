import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors, writeSafetensors } from '../../../engine/formats/safetensors.ts';
import { safetensorsBytes } from './safetensorsBytes.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-safetensors-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(header: object, data: Uint8Array): Promise<string> {
  const path = join(folder, 'every-dtype.safetensors');
  await writeFile(path, safetensorsBytes(header, data));
  return path;
}

describe('readSafetensors', () => {
  it('converts every dtype exactly', async () => {
    const half = new Uint8Array(new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000]).buffer);
    const brain = new Uint8Array(new Uint16Array([0x3f80, 0xc000, 0x0001, 0x7f7f, 0xff80, 0x3eab]).buffer);
    const long = new Uint8Array(new BigInt64Array([-3n, 5_000_000_000n]).buffer);
    const double = new Uint8Array(new Float64Array([0.1, -1e300]).buffer);
    const path = await file(
      {
        half: { dtype: 'F16', shape: [2, 3], data_offsets: [0, 12] },
        brain: { dtype: 'BF16', shape: [6], data_offsets: [12, 24] },
        long: { dtype: 'I64', shape: [2], data_offsets: [24, 40] },
        double: { dtype: 'F64', shape: [2], data_offsets: [40, 56] },
        nothing: { dtype: 'F32', shape: [0, 4], data_offsets: [56, 56] },
        flag: { dtype: 'BOOL', shape: [], data_offsets: [56, 57] },
      },
      Buffer.concat([half, brain, long, double, Buffer.from([1])]),
    );
    const tensors = await readSafetensors(path);
    expect([...(await tensors.readFloat32('half'))]).toEqual([1, -2, 2 ** -24, 65504, Infinity, -0]);
    expect([...(await tensors.readFloat32('brain'))]).toEqual([
      1,
      -2,
      2 ** -133,
      (2 - 2 ** -7) * 2 ** 127,
      -Infinity,
      0.333984375,
    ]);
    expect([...(await tensors.readFloat64('long'))]).toEqual([-3, 5_000_000_000]);
    expect([...(await tensors.readFloat64('double'))]).toEqual([0.1, -1e300]);
    expect([...(await tensors.readFloat32('double'))]).toEqual([Math.fround(0.1), -Infinity]);
    expect(await tensors.readFloat32('nothing')).toHaveLength(0);
    expect([...(await tensors.readFloat32('flag'))]).toEqual([1]);
    await expect(tensors.readFloat32('missing')).rejects.toThrow(/has no tensor "missing"/);
    await tensors.close();
  });

  it('gives back many small tensors and long ones among them, whatever the order they are read in', async () => {
    // 40 MB, more than is kept of a file; lengths that fit no block.
    const lengths = Array.from({ length: 137 }, (_, i) => (i % 40 === 7 ? 1_500_001 : 250_007 + i));
    const tensors = lengths.map((length, i) => ({
      name: `tensor.${i}`,
      shape: [length],
      dtype: 'U8' as const,
      data: randomBytes(length),
    }));
    const path = join(folder, 'many.safetensors');
    await writeSafetensors(path, tensors);
    const opened = await readSafetensors(path);
    const differing: string[] = [];
    for (let i = 0; i < tensors.length; i++) {
      const { name, data } = tensors[(i * 53) % tensors.length]!;
      if (Buffer.compare(await opened.readBytes(name), data) !== 0) differing.push(name);
    }
    await opened.close();
    expect(differing).toEqual([]);
  });

  it('says so where a file was cut after it was opened', async () => {
    const path = join(folder, 'cut.safetensors');
    await writeSafetensors(path, [{ name: 'a', shape: [1000], data: new Float32Array(1000) }]);
    const opened = await readSafetensors(path);
    await truncate(path, 2000);
    await expect(opened.readFloat32('a')).rejects.toThrow(/ends inside tensor "a"; it was cut after it was opened/);
    await opened.close();
  });

  it('refuses a path that is not there', async () => {
    await expect(readSafetensors(join(folder, 'absent'))).rejects.toMatchObject({ kind: 'invalidInput' });
  });
});

describe('writeSafetensors', () => {
  it('writes the same bytes whatever the order of tensors and metadata', async () => {
    const tensors = [
      { name: 'b', shape: [2], data: Float32Array.of(1, 2) },
      { name: '0', shape: [1, 1], data: () => Promise.resolve(Float32Array.of(-0.5)) },
      { name: 'a', shape: [2], dtype: 'I64' as const, data: BigInt64Array.of(7n, -1n) },
    ];
    await writeSafetensors(join(folder, 'one'), tensors, { format: 'pt', step: '3' });
    await writeSafetensors(join(folder, 'two'), tensors.toReversed(), { step: '3', format: 'pt' });
    const bytes = await readFile(join(folder, 'one'));
    expect(bytes.equals(await readFile(join(folder, 'two')))).toBe(true);
    const headerLength = Number(bytes.readBigUInt64LE());
    expect(headerLength % 8).toBe(0);
    expect(bytes.toString('utf8', 8, 8 + headerLength).trimEnd()).toBe(
      '{"__metadata__":{"format":"pt","step":"3"},"0":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},' +
        '"a":{"dtype":"I64","shape":[2],"data_offsets":[4,20]},"b":{"dtype":"F32","shape":[2],"data_offsets":[20,28]}}',
    );
    const read = await readSafetensors(join(folder, 'one'));
    expect([...(await read.readFloat32('b'))]).toEqual([1, 2]);
    expect([...(await read.readFloat64('a'))]).toEqual([7, -1]);
    expect(read.metadata).toEqual({ format: 'pt', step: '3' });
    await read.close();
  });

  it('leaves nothing behind when a tensor does not fit its shape or its source fails', async () => {
    const own = await mkdtemp(join(folder, 'failed-'));
    await expect(
      writeSafetensors(join(own, 'x'), [{ name: 'a', shape: [3], data: new Float32Array(2) }]),
    ).rejects.toThrow(/needs 12/);
    const failing = { name: 'a', shape: [3], data: () => Promise.reject(new Error('source failed')) };
    await expect(writeSafetensors(join(own, 'x'), [failing])).rejects.toThrow('source failed');
    await expect(
      writeSafetensors(join(own, 'x'), [
        { name: 'a', shape: [0], data: new Float32Array(0) },
        { name: 'a', shape: [0], data: new Float32Array(0) },
      ]),
    ).rejects.toThrow(/given twice/);
    expect(await readdir(own)).toEqual([]);
  });
});
