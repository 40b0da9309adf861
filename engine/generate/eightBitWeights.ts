import { randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Graph } from '../graph/builder.ts';
import type { ExternalData } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import { headName } from '../model/decoder.ts';
import type { Adapter } from '../model/adapter.ts';
import { openMergedTensors } from '../model/mergedWeights.ts';
import type { WeightFile } from '../model/weightFile.ts';
import { expectedTensors } from '../model/weights.ts';
import type { EngineSettings } from '../policy.ts';
import { openSession } from '../session/session.ts';

/** Numbers that share a scale. */
const BLOCK = 32;

interface EightBitLocation {
  out: number;
  blocks: number;
  block: number;
  values: ExternalData;
  scales: ExternalData;
}

/** The matrices of a policy (adapter merged in) in 8 bits, in a file beside the model's float32 weights. */
export interface EightBitFile {
  /** By Hugging Face name. */
  matrices: ReadonlyMap<string, EightBitLocation>;
  /** Deletes the file; what has mapped it may go on. */
  remove(): Promise<void>;
}

/**
 * Writes every projection and the output matrix in 8 bits: of each 32 numbers of a row the largest magnitude becomes 127. Matrices whose rows are no
 * multiple of 32 are left out and stay float32, like embedding, norms and biases.
 */
export async function writeEightBitWeights(
  weightFile: WeightFile,
  adapter: Adapter | undefined,
  settings: Pick<EngineSettings, 'threads'>,
): Promise<EightBitFile> {
  const { config } = weightFile;
  const head = headName(config);
  const names = [...expectedTensors(config)].filter(
    ([name, shape]) =>
      shape.length === 2 && shape[1]! % BLOCK === 0 && (name === head || !/embed_tokens|lm_head/.test(name)),
  );
  // A name of its own: several processes may share the folder.
  const fileName = `eight-bit-${process.pid}-${randomBytes(6).toString('hex')}.bin`;
  const path = join(weightFile.folder, fileName);
  const remove = () => rm(path, { force: true });
  const merged = await openMergedTensors(weightFile, adapter, settings);
  const session = await openSession(eightBitGraph(), { threads: settings.threads, device: 'cpu' });
  const file = await open(path, 'wx');
  const matrices = new Map<string, EightBitLocation>();
  let offset = 0;
  const append = async (data: Uint8Array): Promise<ExternalData> => {
    const location = { fileName, offset, byteLength: data.byteLength };
    await file.writeFile(data);
    offset += data.byteLength;
    // Mapped numbers must be aligned.
    const padding = (64 - (offset % 64)) % 64;
    await file.writeFile(new Uint8Array(padding));
    offset += padding;
    return location;
  };
  try {
    for (const [name, [out, size]] of names as [string, [number, number]][]) {
      const blocks = size / BLOCK;
      const outputs = await session.run({ matrix: { data: await merged.read(name), shape: [out * blocks, BLOCK] } });
      const bytesOf = (output: string) => {
        const { data } = outputs[output]!;
        return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      };
      const [values, scales] = [await append(bytesOf('values')), await append(bytesOf('scales'))];
      matrices.set(name, { out, blocks, block: BLOCK, values, scales });
    }
  } catch (error) {
    await remove();
    throw error;
  } finally {
    await file.close();
    await session.release();
    await merged.close();
  }
  return { matrices, remove };
}

/** Blocks [n, 32] to numbers from 1 to 255 with 128 as zero, and the scale of each block; a block of zeros has scale 0. */
function eightBitGraph(): Graph {
  const graph = new Graph('eightBit');
  const matrix = graph.input('matrix', 'float32', ['blocks', BLOCK]);
  const scales = op.div(op.reduceMax(op.abs(matrix), [-1], true), 127);
  const divisor = op.where(op.greater(scales, 0), scales, 1);
  graph.output('values', op.cast(op.add(op.round(op.div(matrix, divisor)), 128), 'uint8'));
  graph.output('scales', scales);
  return graph;
}
