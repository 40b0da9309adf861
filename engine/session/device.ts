import * as ort from './onnxRuntime.ts';
import { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/builder.ts';
import * as op from '../graph/operators.ts';
import type { Provider } from '../graph/providers.ts';
import { EngineError } from '../policy.ts';
import type { DeviceUse, EngineSettings } from '../policy.ts';
import { missingCudaLibraries } from './cudaProvider.ts';

/** What a provider came to on this machine. */
export interface ProviderState {
  provider: Provider;
  /** Milliseconds of `PRODUCTS` products of matrices, copies to and from the device included. Infinity: far slower than the CPU. Absent: not measured. */
  productsMs?: number;
  /** Why it does not work, in a line; absent if it does. */
  problem?: string;
}

const PROVIDERS: readonly Provider[] = ['cpu', 'cuda', 'webgpu'];

const REMEDIES: Record<Provider, string> = {
  cpu: 'reinstall onnxruntime-node',
  webgpu: 'install a Vulkan driver and its loader (Linux: libvulkan.so.1)',
  cuda: 'run `npm run setup:cuda` on a machine with an NVIDIA driver, CUDA and cuDNN 9 (docs/devices.md)',
};

/** Providers that this build of ONNX Runtime knows; whether they work is another matter. */
export function offeredProviders(): Provider[] {
  const offered = new Set(ort.listSupportedBackends().map(({ name }) => name));
  return PROVIDERS.filter((provider) => offered.has(provider));
}

/**
 * The provider that a configured device comes to on this machine. `auto`: the fastest of those that work, by a few products. Another device than the
 * CPU is tried first; if it does not work, the CPU is used where `allowFallback` says so. Tried once a process.
 * Throws EngineError('invalidInput') with cause and remedy otherwise. A driver that crashes takes the process with it.
 */
export function resolveDevice(settings: Pick<EngineSettings, 'device' | 'allowFallback'>): Promise<DeviceUse> {
  const { device, allowFallback = false } = settings;
  const key = `${device} ${allowFallback}`;
  let resolving = resolvingDevices.get(key);
  if (!resolving) {
    resolving = resolve(device, allowFallback).then((use) => {
      resolvedDevices.set(key, use);
      return use;
    });
    resolvingDevices.set(key, resolving);
  }
  return resolving;
}

/** What `resolveDevice` came to in this process; undefined before it did. */
export function resolvedDevice({ device, allowFallback = false }: Pick<EngineSettings, 'device' | 'allowFallback'>) {
  return resolvedDevices.get(`${device} ${allowFallback}`);
}

const resolvingDevices = new Map<string, Promise<DeviceUse>>();
const resolvedDevices = new Map<string, DeviceUse>();

async function resolve(device: EngineSettings['device'], allowFallback: boolean): Promise<DeviceUse> {
  if (device === 'cpu') return { device, provider: 'cpu' };
  if (device === 'auto') return fastestOf(await measureProviders());
  const { problem } = await tryProvider(device);
  if (problem === undefined) return { device, provider: device };
  if (allowFallback)
    return { device, provider: 'cpu', note: `${device} does not work here (${problem}): using the CPU` };
  throw new EngineError(
    'invalidInput',
    `engine.device is ${device}, which does not work on this machine: ${problem}. Do one of: ${REMEDIES[device]}; set engine.allowFallback: true to use the CPU in such a case; set engine.device: cpu`,
  );
}

/** The choice of `auto`. A software driver for graphics works too, but loses to the CPU's own kernels. */
export function fastestOf(tried: readonly ProviderState[]): DeviceUse {
  const working = tried.filter(({ problem }) => problem === undefined);
  const timeOf = ({ productsMs = Infinity }: ProviderState) => productsMs;
  const fastest = working.reduce((best, state) => (timeOf(state) < timeOf(best) ? state : best));
  const found = tried.map((state) => {
    const time = timeOf(state) === Infinity ? 'far slower' : `${timeOf(state).toFixed(1)} ms`;
    return `${state.provider} ${state.problem === undefined ? time : `does not work (${state.problem})`}`;
  });
  return { device: 'auto', provider: fastest.provider, note: `auto: ${found.join(', ')}: using ${fastest.provider}` };
}

/** Whether a provider works: compiles and runs a small product and gets it right. Never throws. */
export async function tryProvider(provider: Provider): Promise<ProviderState> {
  return withProducts(provider, async (multiply) => void (await multiply(16)));
}

/** A provider that takes so many times longer than the CPU for small products is not measured with large ones: it would take minutes. */
const HOPELESS = 50;

async function measureProviders(): Promise<ProviderState[]> {
  const smallTimes = new Map<Provider, number>();
  const tried: ProviderState[] = [];
  for (const provider of offeredProviders()) {
    let productsMs: number | undefined;
    const state = await withProducts(provider, async (multiply) => {
      // The first run compiles kernels.
      await multiply(256);
      smallTimes.set(provider, await multiply(256));
      if (smallTimes.get(provider)! > HOPELESS * smallTimes.get('cpu')!) {
        productsMs = Infinity;
        return;
      }
      productsMs = Math.min(await multiply(1024), await multiply(1024));
    });
    tried.push(state.problem === undefined && productsMs !== undefined ? { ...state, productsMs } : state);
  }
  return tried;
}

/** Products in a row of `multiply`. */
const PRODUCTS = 4;

/** Calls `use` with a function that multiplies matrices of ones of a size, checks the result and returns the milliseconds. */
async function withProducts(
  provider: Provider,
  use: (multiply: (size: number) => Promise<number>) => Promise<void>,
): Promise<ProviderState> {
  if (!offeredProviders().includes(provider))
    return { provider, problem: `this build of ONNX Runtime (${process.platform} ${process.arch}) has no ${provider}` };
  if (provider === 'cuda' && missingCudaLibraries().length > 0)
    return { provider, problem: "ONNX Runtime's CUDA provider is not installed (`npm run setup:cuda`)" };
  const graph = new Graph('products');
  const [ones, fractions] = ['ones', 'fractions'].map((name) => graph.input(name, 'float32', ['n', 'n']));
  let product: Value = ones!;
  for (let i = 0; i < PRODUCTS; i++) product = op.plainMatmul(product, fractions!);
  graph.output('product', product);
  try {
    const session = await ort.InferenceSession.create(graph.encode(), {
      executionProviders: executionProviders(provider),
      extra: { session: { set_denormal_as_zero: '1', intra_op: { allow_spinning: '0' } } },
    });
    await use(async (size) => {
      const matrix = (value: number) =>
        new ort.Tensor('float32', new Float32Array(size * size).fill(value), [size, size]);
      const feeds = { ones: matrix(1), fractions: matrix(1 / size) };
      const start = performance.now();
      const results = await session.run(feeds);
      const elapsed = performance.now() - start;
      const values = results['product']!.data as Float32Array;
      if (!values.every((value) => Math.abs(value - 1) < 1e-4)) throw new Error('it multiplies matrices wrongly');
      return elapsed;
    });
    await session.release();
    return { provider };
  } catch (error) {
    return { provider, problem: causeOf(error) };
  }
}

/** One line, without the place in ONNX Runtime's sources. */
function causeOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message
    .split('\n')[0]!
    .replace(/^\/onnxruntime_src\/.* was false\. /, '')
    .trim();
}

/** For ONNX Runtime's session options. Operators that a provider lacks run on the CPU. */
export function executionProviders(provider: Provider): string[] {
  // TF32 products keep 10 bits of the mantissa; importance ratios need float32. The CUDA libraries read this when they are loaded.
  if (provider === 'cuda') process.env['NVIDIA_TF32_OVERRIDE'] ??= '0';
  return provider === 'cpu' ? ['cpu'] : [provider, 'cpu'];
}
