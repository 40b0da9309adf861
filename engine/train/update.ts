import { copyFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.ts';
import type { SafetensorsFile } from '../formats/safetensors.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_FILE, writeAdapterTensors } from '../model/adapter.ts';
import { EngineError } from '../policy.ts';
import type { OptimizerSettings, UpdateRequest, UpdateResult } from '../policy.ts';
import { checkFinite } from './trainer.ts';
import { TreeSum } from './treeSum.ts';

/** Tensors laid one after another, in the order of `names`. */
interface FlatTensors {
  names: string[];
  shapes: number[][];
  values: Float32Array;
}

export interface AdamWState {
  parameters: Float32Array;
  /** First and second moments. */
  m: Float32Array;
  v: Float32Array;
  /** Steps taken before this one. */
  step: number;
}

/**
 * One optimizer step on an adapter: sums the shards' gradients (TreeSum), clips, applies AdamW, writes the new adapter folder and optimizer state.
 * Plain float64 arithmetic on float32 storage: the bytes written depend on the inputs' bytes only, on any machine.
 * Throws EngineError('notFinite') if a gradient or the result is not finite, EngineError('invalidInput') if files do not fit each other.
 */
export async function update(request: UpdateRequest): Promise<UpdateResult> {
  const adapter = await readFlat(join(request.adapterPath, ADAPTER_FILE));
  const gradient = await sumGradients(request.gradientPaths, adapter);
  const state = await readState(request.optimizerStatePath, adapter);
  const { gradNorm, clipped } = adamW({ parameters: adapter.values, ...state }, gradient, request.optimizer);
  checkFinite(adapter.values, 'the adapter after the step');

  await writeAdapterTensors(
    request.outputAdapterPath,
    new Map(
      [...tensorsOf(adapter, adapter.values)].map(({ name, shape, data }) => [name, { shape: [...shape], data }]),
    ),
  );
  await copyFile(join(request.adapterPath, ADAPTER_CONFIG_FILE), join(request.outputAdapterPath, ADAPTER_CONFIG_FILE));
  const step = state.step + 1;
  const moments = (['m', 'v'] as const).flatMap((moment) =>
    tensorsOf(adapter, state[moment]).map((tensor) => ({ ...tensor, name: `${moment}/${tensor.name}` })),
  );
  await mkdir(dirname(request.outputOptimizerStatePath), { recursive: true });
  await writeSafetensors(request.outputOptimizerStatePath, moments, { step: String(step) });
  return { gradNorm, clipped, step };
}

/**
 * torch.optim.AdamW after torch.nn.utils.clip_grad_norm_, in place: gradients times min(1, maxGradNorm / (norm + 1e-6)); p -= lr wd p;
 * m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon).
 * Returns the norm before clipping.
 */
export function adamW(
  state: AdamWState,
  gradient: Float32Array,
  optimizer: OptimizerSettings,
): { gradNorm: number; clipped: boolean } {
  const { parameters, m, v } = state;
  const { learningRate, beta1, beta2, epsilon, weightDecay, maxGradNorm } = optimizer;
  let squares = 0;
  for (let i = 0; i < gradient.length; i++) squares += gradient[i]! * gradient[i]!;
  const gradNorm = Math.sqrt(squares);
  const factor = maxGradNorm > 0 ? Math.min(1, maxGradNorm / (gradNorm + 1e-6)) : 1;
  const step = state.step + 1;
  const stepSize = learningRate / (1 - beta1 ** step);
  const correction = Math.sqrt(1 - beta2 ** step);
  const decay = 1 - learningRate * weightDecay;
  for (let i = 0; i < parameters.length; i++) {
    const g = gradient[i]! * factor;
    const first = beta1 * m[i]! + (1 - beta1) * g;
    const second = beta2 * v[i]! + (1 - beta2) * g * g;
    m[i] = first;
    v[i] = second;
    parameters[i] = parameters[i]! * decay - (stepSize * first) / (Math.sqrt(second) / correction + epsilon);
  }
  return { gradNorm, clipped: factor < 1 };
}

async function sumGradients(paths: readonly string[], adapter: FlatTensors): Promise<Float32Array> {
  if (paths.length === 0) throw new EngineError('invalidInput', 'update: no gradient files');
  const sum = new TreeSum(paths.length);
  for (const [place, path] of paths.entries()) {
    const shard = await readFlat(path);
    checkSame(path, shard, adapter);
    sum.add(place, shard.values);
  }
  checkFinite(sum.total(), 'sum of the gradients');
  return sum.total();
}

async function readState(path: string | undefined, adapter: FlatTensors): Promise<Omit<AdamWState, 'parameters'>> {
  const zeros = () => new Float32Array(adapter.values.length);
  if (path === undefined) return { m: zeros(), v: zeros(), step: 0 };
  const file = await readSafetensors(path);
  try {
    const [m, v] = [await flatTensors(file, 'm/'), await flatTensors(file, 'v/')];
    checkSame(`${path} (m)`, m, adapter);
    checkSame(`${path} (v)`, v, adapter);
    const step = Number(file.metadata['step']);
    if (!Number.isInteger(step) || step < 1)
      throw new EngineError(
        'invalidInput',
        `${path}: its metadata have no step; give the optimizer state that an update wrote`,
      );
    return { m: m.values, v: v.values, step };
  } finally {
    await file.close();
  }
}

async function readFlat(path: string): Promise<FlatTensors> {
  const file = await readSafetensors(path);
  try {
    return await flatTensors(file);
  } finally {
    await file.close();
  }
}

/** The tensors whose names begin with a prefix, sorted by name, as one array. */
async function flatTensors(file: SafetensorsFile, prefix = ''): Promise<FlatTensors> {
  const names = [...file.tensors.keys()].filter((name) => name.startsWith(prefix)).sort();
  const shapes = names.map((name) => file.tensors.get(name)!.shape);
  const values = new Float32Array(shapes.reduce((sum, shape) => sum + sizeOf(shape), 0));
  let offset = 0;
  for (const name of names) {
    const tensor = await file.readFloat32(name);
    values.set(tensor, offset);
    offset += tensor.length;
  }
  return { names: names.map((name) => name.slice(prefix.length)), shapes, values };
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, dimension) => product * dimension, 1);

function checkSame(path: string, tensors: FlatTensors, adapter: FlatTensors): void {
  const describe = ({ names, shapes }: FlatTensors) => names.map((name, i) => `${name} [${shapes[i]!.join(', ')}]`);
  const [own, wanted] = [describe(tensors), describe(adapter)];
  const wrong = wanted.findIndex((tensor, i) => own[i] !== tensor);
  if (wrong >= 0 || own.length !== wanted.length) {
    throw new EngineError(
      'invalidInput',
      `${path}: does not fit the adapter: expected ${wanted[wrong] ?? 'no more'}, found ${own[wrong] ?? own[wanted.length] ?? 'nothing'}`,
    );
  }
}

function tensorsOf(
  { names, shapes }: FlatTensors,
  values: Float32Array,
): { name: string; shape: readonly number[]; data: Float32Array }[] {
  let offset = 0;
  return names.map((name, i) => {
    const size = sizeOf(shapes[i]!);
    offset += size;
    return { name, shape: shapes[i]!, data: values.subarray(offset - size, offset) };
  });
}
