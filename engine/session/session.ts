import { availableParallelism } from 'node:os';
import * as ort from './onnxRuntime.ts';
import { EngineError } from '../policy.ts';
import type { EngineSettings } from '../policy.ts';
import type { ConstantData, DataType, Value } from '../graph/builder.ts';
import { Graph } from '../graph/builder.ts';
import { identity } from '../graph/operators.ts';
import { factorsOf, formatShape } from '../graph/dimensions.ts';
import type { Provider } from '../graph/providers.ts';
import { graphForProvider } from '../graph/providers.ts';
import { findNonFinite } from './nonFinite.ts';
import type { NonFiniteSource } from './nonFinite.ts';
import { executionProviders, resolveDevice } from './device.ts';

/** A tensor in JavaScript's memory. int64 is a BigInt64Array, bool a Uint8Array. */
export interface Tensor {
  data: ConstantData;
  shape: readonly number[];
}

export interface SessionSettings extends Pick<EngineSettings, 'threads' | 'device' | 'allowFallback'> {
  /** Folder of the external weight files that the graph refers to. */
  weightsFolder?: string;
  /** false: weights are used as they lie in the mapped file; starts faster, costs speed, and bits then depend on batch and threads. */
  prepack?: boolean;
  /**
   * Threads wait for their next operator by spinning while a graph runs, and sleep between runs: decoding is 10 to 18 % faster. It gains nothing, and takes
   * processor time from others, where engines have more threads than there are cores.
   * @default `spins()`
   */
  spinning?: boolean;
  /**
   * Compute at creation what depends on constants alone (merging an adapter into weights); also lets ONNX Runtime drop no-ops.
   * @default false
   */
  foldConstants?: boolean;
  /** Prefix of a profile file to write (chrome trace). */
  profilePrefix?: string;
}

/** A graph made ready to run. */
export interface GraphSession {
  /**
   * Runs the graph. Feeds are checked against the graph's inputs (type, shape, same size for the same symbol).
   * @param fetches outputs to return; each is copied (0.8 ms/MB), so ask for no more than needed. Default: all.
   * @param into preallocated tensors by output name: written in place (may alias an input), and returned as copies besides.
   */
  run(
    feeds: Record<string, Tensor>,
    fetches?: readonly string[],
    into?: Record<string, Tensor>,
  ): Promise<Record<string, Tensor>>;
  /** Where NaN or infinity first appears when the graph runs on these inputs: runs it again, with counts, on the CPU. */
  findNonFinite(feeds: Record<string, Tensor>): Promise<NonFiniteSource | undefined>;
  release(): Promise<void>;
  readonly raw: ort.InferenceSession;
  /** Where it runs. */
  readonly provider: Provider;
}

const ORT_TYPES: Record<DataType, ort.Tensor.Type> = {
  float32: 'float32',
  float64: 'float64',
  float16: 'float16',
  int32: 'int32',
  int64: 'int64',
  uint8: 'uint8',
  bool: 'bool',
};

let flushDenormals: Promise<void> | undefined;

/**
 * Makes a process treat denormal numbers as zero: they slow matrix products 160 times. The first session of a process decides, and threads inherit
 * it from their creator, so this must come before any other session (openSession sees to it).
 */
export function treatDenormalsAsZero(): Promise<void> {
  flushDenormals ??= (async () => {
    const graph = new Graph('denormals');
    graph.output('y', identity(graph.input('x', 'float32', [1])));
    await ort.InferenceSession.create(graph.encode(), {
      extra: { session: { set_denormal_as_zero: '1' } },
      intraOpNumThreads: 1,
    });
  })();
  return flushDenormals;
}

/**
 * Compiles a graph, in the operators of the device's provider (graph/providers.ts).
 * Throws EngineError('outOfMemory' | 'invalidInput') with ONNX Runtime's message, or if the device does not work.
 */
export async function openSession(graph: Graph, settings: SessionSettings): Promise<GraphSession> {
  await treatDenormalsAsZero();
  const { provider } = await resolveDevice(settings);
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: executionProviders(provider),
    intraOpNumThreads: settings.threads,
    interOpNumThreads: 1,
    // Errors only: on a device each session would warn that some operators run on the CPU.
    ...(provider === 'cpu' ? {} : { logSeverityLevel: 3 as const }),
    // Plans of whole memory layouts, one a shape: they cost a quarter more memory and gain nothing here.
    enableMemPattern: false,
    executionMode: 'sequential',
    // The graphs are built as they should run: rewriting them could undo recomputation and change bits.
    graphOptimizationLevel: settings.foldConstants ? 'basic' : 'disabled',
    extra: {
      session: {
        set_denormal_as_zero: '1',
        ...(settings.prepack === false ? { disable_prepacking: '1' } : {}),
        ...(settings.weightsFolder ? { model_external_initializers_file_folder_path: settings.weightsFolder } : {}),
        ...((settings.spinning ?? spins(settings.threads))
          ? { force_spinning_stop: '1' }
          : { intra_op: { allow_spinning: '0' } }),
      },
    },
    ...(settings.profilePrefix ? { enableProfiling: true, profileFilePrefix: settings.profilePrefix } : {}),
  };
  let raw: ort.InferenceSession;
  try {
    raw = await ort.InferenceSession.create(graphForProvider(graph, provider).encode(), options);
  } catch (error) {
    throw engineError(`graph '${graph.name}' could not be compiled`, error);
  }
  const inputs = new Map(graph.inputs.map((input) => [input.name, input]));
  const outputs = new Map(graph.outputs.map((output) => [output.name, output]));

  return {
    raw,
    provider,
    async run(feeds, fetches, into = {}) {
      checkFeeds(graph.name, inputs, feeds);
      const tensors: Record<string, ort.Tensor> = {};
      for (const [name, tensor] of Object.entries(feeds)) tensors[name] = toOrt(inputs.get(name)!, tensor);
      const wanted: Record<string, ort.Tensor | null> = {};
      for (const name of fetches ?? outputs.keys()) {
        const output = outputs.get(name);
        if (!output) throw new EngineError('invalidInput', `graph '${graph.name}' has no output '${name}'`);
        wanted[name] = into[name] ? toOrt(output, into[name]) : null;
      }
      let results: ort.InferenceSession.OnnxValueMapType;
      try {
        results = await raw.run(tensors, wanted);
      } catch (error) {
        throw engineError(`graph '${graph.name}' failed`, error);
      }
      return Object.fromEntries(
        Object.entries(results).map(([name, value]) => {
          const tensor = value as ort.Tensor;
          return [name, { data: tensor.data as ConstantData, shape: tensor.dims }];
        }),
      );
    },
    findNonFinite: (feeds) => findNonFinite(graph, feeds, settings, openSession),
    release: () => raw.release(),
  };
}

/** Whether an engine's threads spin: unless CADA_SPINNING says `off`, as where several gpu workers share a machine, or there are fewer cores than threads. */
export function spins(threads: number, environment = process.env): boolean {
  return environment['CADA_SPINNING'] !== 'off' && threads > 1 && threads <= availableParallelism();
}

function toOrt(value: Value, tensor: Tensor): ort.Tensor {
  return new ort.Tensor(ORT_TYPES[value.dtype], tensor.data as Float32Array, tensor.shape);
}

/** Throws EngineError('invalidInput') if a feed is missing, unknown or misshapen. */
function checkFeeds(graphName: string, inputs: ReadonlyMap<string, Value>, feeds: Record<string, Tensor>): void {
  const sizes = new Map<string, { size: number; name: string }>();
  for (const name of Object.keys(feeds)) {
    if (!inputs.has(name)) throw new EngineError('invalidInput', `graph '${graphName}' has no input '${name}'`);
  }
  for (const [name, input] of inputs) {
    const problem = (message: string) =>
      new EngineError('invalidInput', `graph '${graphName}', input '${name}': ${message}`);
    const feed = feeds[name];
    if (!feed) throw problem('missing');
    const fits =
      feed.shape.length === input.shape.length &&
      input.shape.every((dimension, axis) => {
        const size = feed.shape[axis]!;
        if (typeof dimension === 'number') return dimension === size;
        const { coefficient, symbols } = factorsOf(dimension);
        if (symbols.length !== 1) return true;
        const known = sizes.get(symbols[0]!);
        if (!known) sizes.set(symbols[0]!, { size: size / coefficient, name });
        return !known || known.size * coefficient === size;
      });
    if (!fits) {
      const bound = [...sizes].map(([symbol, { size, name: source }]) => `${symbol} = ${size} by ${source}`).join(', ');
      throw problem(
        `shape ${formatShape(feed.shape)} does not fit ${formatShape(input.shape)}${bound ? ` (${bound})` : ''}`,
      );
    }
  }
}

function engineError(what: string, error: unknown): EngineError {
  const message = error instanceof Error ? error.message : String(error);
  const memory = /bad_alloc|allocat|out of memory/i.test(message);
  return new EngineError(memory ? 'outOfMemory' : 'invalidInput', `${what}: ${message}`, { cause: error });
}
