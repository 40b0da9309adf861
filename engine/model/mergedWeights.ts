import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.ts';
import { Graph } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import type { EngineSettings } from '../policy.ts';
import { openSession } from '../session/session.ts';
import { tensorNameOf } from './adapter.ts';
import type { Adapter } from './adapter.ts';
import type { WeightFile } from './weightFile.ts';
import { expectedTensors } from './weights.ts';

/** The tensors of a model with an adapter merged in. */
export interface MergedTensors {
  /** One tensor by its Hugging Face name: W + scale B A where the adapter has the module, else the base's. */
  read(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Opens a model for reading with the adapter merged in; without adapter, the base. One tensor is in memory at a time. */
export async function openMergedTensors(
  weightFile: WeightFile,
  adapter: Adapter | undefined,
  settings: Pick<EngineSettings, 'threads'>,
): Promise<MergedTensors> {
  const base = await readSafetensors(weightFile.path);
  const session = await openSession(mergeGraph(), { threads: settings.threads, device: 'cpu' });
  const modules = new Map(adapter?.modules.map((module) => [module.module, module]));
  return {
    async read(name) {
      const weight = await base.readFloat32(name);
      const module = name.endsWith('.weight') ? modules.get(name.slice(0, -'.weight'.length)) : undefined;
      if (!module || !adapter) return weight;
      const [a, b] = (['A', 'B'] as const).map((matrix) => adapter.tensors.get(tensorNameOf(module.module, matrix))!);
      const feeds = {
        weight: { data: weight, shape: [module.outputs, module.inputs] },
        a: a!,
        b: b!,
        scale: { data: Float32Array.of(module.scale), shape: [] },
      };
      return (await session.run(feeds))['merged']!.data as Float32Array;
    },
    async close() {
      await session.release();
      await base.close();
    },
  };
}

/**
 * Writes the model with the adapter merged in as one float32 safetensors file under Hugging Face names (`openWeightFile` opens it for a graph).
 * Without adapter: a copy of the base.
 */
export async function writeMergedWeights(
  weightFile: WeightFile,
  adapter: Adapter | undefined,
  path: string,
  settings: Pick<EngineSettings, 'threads'>,
): Promise<void> {
  const merged = await openMergedTensors(weightFile, adapter, settings);
  try {
    await mkdir(dirname(path), { recursive: true });
    const tensors = [...expectedTensors(weightFile.config)];
    await writeSafetensors(
      path,
      tensors.map(([name, shape]) => ({ name, shape, data: () => merged.read(name) })),
      { format: 'pt' },
    );
  } finally {
    await merged.close();
  }
}

function mergeGraph(): Graph {
  const graph = new Graph('merge');
  const weight = graph.input('weight', 'float32', ['out', 'in']);
  const a = graph.input('a', 'float32', ['rank', 'in']);
  const b = graph.input('b', 'float32', ['out', 'rank']);
  const scale = graph.input('scale', 'float32', []);
  graph.output('merged', op.gemm(op.mul(b, scale), a, weight));
  return graph;
}
