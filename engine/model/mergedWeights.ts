import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.ts';
import { Graph } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import type { EngineSettings, OnProgress } from '../policy.ts';
import { openSession } from '../session/session.ts';
import { tensorNameOf } from './adapter.ts';
import type { Adapter } from './adapter.ts';
import type { WeightFile } from './weightFile.ts';
import { expectedTensors } from './weights.ts';

/**
 * Writes the model with the adapter merged in, W + scale B A, as one float32 safetensors file under Hugging Face names (`openWeightFile` opens it
 * for a graph, and it is the `model.safetensors` of an exported model). Without adapter: a copy of the base. One tensor is in memory at a time.
 */
export async function writeMergedWeights(
  weightFile: WeightFile,
  adapter: Adapter | undefined,
  path: string,
  settings: Pick<EngineSettings, 'threads'>,
  onProgress?: OnProgress,
): Promise<void> {
  const base = await readSafetensors(weightFile.path);
  const session = await openSession(mergeGraph(), { threads: settings.threads, device: 'cpu' });
  try {
    const modules = new Map(adapter?.modules.map((module) => [module.module, module]));
    const names = [...expectedTensors(weightFile.config)];
    let done = 0;
    const merged = async (name: string): Promise<Float32Array> => {
      const weight = await base.readFloat32(name);
      onProgress?.({ phase: 'merge', done: ++done, total: names.length, tokens: 0 });
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
    };
    await mkdir(dirname(path), { recursive: true });
    await writeSafetensors(
      path,
      names.map(([name, shape]) => ({ name, shape, data: () => merged(name) })),
      { format: 'pt' },
    );
  } finally {
    await session.release();
    await base.close();
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
