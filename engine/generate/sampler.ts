import type { Adapter } from '../model/adapter.ts';
import type { DecoderConfig } from '../model/config.ts';
import { rotaryTables } from '../model/decoder.ts';
import type { WeightFile } from '../model/weightFile.ts';
import type { EngineSettings, SampleRequest } from '../policy.ts';
import type { Tensor } from '../session/session.ts';
import { allFinite, nonFiniteCause } from '../session/nonFinite.ts';
import { openSession } from '../session/session.ts';
import { cacheNames } from './cachedAttention.ts';
import { writeEightBitWeights } from './eightBitWeights.ts';
import type { PrefixKeys } from './prefix.ts';
import { RecentPrefixes } from './prefix.ts';
import type { RowCache } from './rowCache.ts';
import { buildSamplerGraph } from './samplerGraph.ts';

/** New tokens of several rows, to run against their caches. */
export interface ForwardInput {
  /** New tokens of each row, as many rows behind each prefix; of a row that only fills up, none. */
  tokens: readonly (readonly number[])[];
  prefix: PrefixKeys;
  /** Own past of the rows, row by row; absent = the new tokens follow the prefix. With a past, one new token a row. */
  past?: RowCache;
  /** Where to draw a token: after which new token of which row, by which uniform number. */
  draws: readonly { row: number; token: number; uniform: number }[];
  /** 0 = the most likely token. */
  temperature: number;
  /** Return the logits at the draws, divided by the temperature, too: 200 KB a row of SmolLM2. */
  logits?: boolean;
}

export interface ForwardResult {
  /** A row a draw [vocabulary], if asked for. */
  logits?: Float32Array[];
  drawn: { token: number; logProb: number }[];
  /** New tokens a row, padding included. */
  width: number;
  /** By layer [rows (or more), kvHeads, width, headDim]. */
  newKeys: Float32Array[];
  newValues: Float32Array[];
  /** Where NaN or infinity began, in words, if the last layer or a probability has any. */
  nonFinite?: string;
}

export interface Sampler {
  readonly config: DecoderConfig;
  /** Rows behind a prefix that decode together at least; `RowCache.maximumRows` must not be less. Behind a single one, missing ones are filled up. */
  readonly minimumRows: number;
  forward(input: ForwardInput): Promise<ForwardResult>;
  readonly recentPrefixes: RecentPrefixes;
  release(): Promise<void>;
}

/** Hides a key: exp(-1e30 - anything) is 0. */
const HIDDEN = -1e30;

/** The rotary tables grow in steps of this many positions. */
const POSITION_STEP = 2048;

/**
 * Compiles the sampler of a model, the adapter merged into its weights.
 * Takes 0.5 - 1 s for 135 million parameters, and twice the weights' memory while it stays open.
 * @param settings `weights`: see SampleRequest
 */
export async function openSampler(
  weightFile: WeightFile,
  adapter: Adapter | undefined,
  settings: Pick<EngineSettings, 'threads' | 'device'> & { profilePrefix?: string; weights?: SampleRequest['weights'] },
): Promise<Sampler> {
  const { config } = weightFile;
  const { weights, ...sessionSettings } = settings;
  const eightBit = weights === 'eightBit' ? await writeEightBitWeights(weightFile, adapter, settings) : undefined;
  const session = await openSession(buildSamplerGraph(weightFile, adapter, eightBit), {
    ...sessionSettings,
    weightsFolder: weightFile.folder,
    foldConstants: true,
  }).finally(() => eightBit?.remove());
  const layers = Array.from({ length: config.layers }, (_, layer) => cacheNames(layer));
  const fetches = ['drawn', 'probabilities', ...layers.flatMap((names) => [names.newKeys, names.newValues])];
  // ONNX Runtime multiplies a single row by another path, with other bits, and joins the products of query heads into one when there is a single
  // matrix of keys. So the prefix must not see a single query, nor the past a single matrix.
  const minimumRows = config.kvHeads === 1 || config.heads === config.kvHeads ? 2 : 1;
  // An empty tensor crashes WebGPU: there, no past is one hidden key.
  const leastCapacity = session.provider === 'webgpu' ? 1 : 0;
  let rotary = { positions: 0, ...rotaryTables(config, 0) };

  return {
    config,
    minimumRows,
    recentPrefixes: new RecentPrefixes(),
    async forward(input) {
      const { prefix, past } = input;
      const rows = past ? Math.max(input.tokens.length, minimumRows) : input.tokens.length;
      const width = past ? 1 : Math.max(2, ...input.tokens.map((row) => row.length));
      const longestPrefix = Math.max(...prefix.shapes.map(({ tokens }) => tokens));
      const lastPosition = longestPrefix + Math.max(0, ...(past?.lengths ?? [])) + width;
      if (lastPosition > rotary.positions) {
        const positions = Math.ceil(lastPosition / POSITION_STEP) * POSITION_STEP;
        rotary = { positions, ...rotaryTables(config, positions) };
      }
      const feeds = {
        ...tokenFeeds(input, rows, width),
        ...cacheFeeds(config, input, rows, leastCapacity),
        ...maskFeeds(config, input, rows, width, leastCapacity),
        cos: { data: rotary.cos, shape: [rotary.positions, config.headDim / 2] },
        sin: { data: rotary.sin, shape: [rotary.positions, config.headDim / 2] },
      };
      const results = await session.run(feeds, input.logits ? ['logits', ...fetches] : fetches);
      const tokens = results['drawn']!.data as BigInt64Array;
      const probabilities = results['probabilities']!.data as Float32Array;
      const logits = results['logits']?.data as Float32Array | undefined;
      const size = config.vocabularySize;
      const byLayer = (names: string[]) => names.map((name) => results[name]!.data as Float32Array);
      const last = layers.at(-1)!;
      const finite = ['probabilities', last.newKeys, last.newValues].every((name) =>
        allFinite(results[name]!.data as Float32Array),
      );
      return {
        ...(finite ? {} : { nonFinite: await nonFiniteCause(session, feeds) }),
        drawn: input.draws.map((_, i) => ({ token: Number(tokens[i]), logProb: Math.log(probabilities[i]!) })),
        ...(logits ? { logits: input.draws.map((_, i) => logits.subarray(i * size, (i + 1) * size)) } : {}),
        width,
        newKeys: byLayer(layers.map((names) => names.newKeys)),
        newValues: byLayer(layers.map((names) => names.newValues)),
      };
    },
    release: () => session.release(),
  };
}

/** Tokens before a row's new ones. */
function startOf({ prefix, past }: Pick<ForwardInput, 'prefix' | 'past'>, row: number, rows: number): number {
  const { tokens } = prefix.shapes[Math.floor(row / (rows / prefix.shapes.length))]!;
  return tokens + (past?.lengths[row] ?? 0);
}

function tokenFeeds(input: ForwardInput, rows: number, width: number): Record<string, Tensor> {
  const tokens = new BigInt64Array(rows * width);
  const positions = new BigInt64Array(rows * width);
  const prefixes = input.prefix.shapes.length;
  for (let row = 0; row < rows; row++) {
    const start = startOf(input, row, rows);
    for (let i = 0; i < width; i++) {
      tokens[row * width + i] = BigInt(input.tokens[row]?.[i] ?? 0);
      positions[row * width + i] = BigInt(start + i);
    }
  }
  // Without draws, one is made and ignored: no product may be empty.
  const draws = input.draws.length > 0 ? input.draws : [{ row: 0, token: 0, uniform: 0 }];
  const greedy = input.temperature === 0;
  return {
    tokens: { data: tokens, shape: [prefixes, rows / prefixes, width] },
    positions: { data: positions, shape: [rows, width] },
    places: {
      data: BigInt64Array.from(draws, ({ row, token }) => BigInt(row * width + token)),
      shape: [draws.length],
    },
    uniforms: { data: Float32Array.from(draws, ({ uniform }) => uniform), shape: [draws.length, 1] },
    temperature: { data: Float32Array.of(greedy ? 1 : input.temperature), shape: [1] },
    greedy: { data: Uint8Array.of(greedy ? 1 : 0), shape: [] },
  };
}

function cacheFeeds(
  config: DecoderConfig,
  { prefix, past }: ForwardInput,
  rows: number,
  leastCapacity: number,
): Record<string, Tensor> {
  const { kvHeads, headDim } = config;
  const prefixes = prefix.shapes.length;
  const prefixShape = [prefixes, kvHeads, prefix.blocks, prefix.blockLength, headDim];
  const prefixSize = prefixShape.reduce((product, size) => product * size);
  const pastShape = [rows, kvHeads, past?.capacity ?? leastCapacity, headDim];
  const pastSize = pastShape.reduce((product, size) => product * size);
  const pastOf = (cache: Float32Array | undefined) => cache?.subarray(0, pastSize) ?? new Float32Array(pastSize);
  const prefixed = prefix.shapes.some(({ tokens }) => tokens > 0);
  const feeds: Record<string, Tensor> = { prefixed: { data: Uint8Array.of(prefixed ? 1 : 0), shape: [] } };
  for (let layer = 0; layer < config.layers; layer++) {
    const names = cacheNames(layer);
    feeds[names.prefixKeys] = { data: prefix.keys[layer]!.subarray(0, prefixSize), shape: prefixShape };
    feeds[names.prefixValues] = { data: prefix.values[layer]!.subarray(0, prefixSize), shape: prefixShape };
    feeds[names.pastKeys] = { data: pastOf(past?.keys[layer]), shape: pastShape };
    feeds[names.pastValues] = { data: pastOf(past?.values[layer]), shape: pastShape };
  }
  return feeds;
}

function maskFeeds(
  config: DecoderConfig,
  { prefix, past }: ForwardInput,
  rows: number,
  width: number,
  leastCapacity: number,
): Record<string, Tensor> {
  const window = config.slidingWindow ?? Infinity;
  const capacity = past?.capacity ?? leastCapacity;
  const mask = new Float32Array(rows * width * (capacity + width));
  for (let row = 0; row < rows; row++) {
    const length = past?.lengths[row] ?? 0;
    for (let query = 0; query < width; query++) {
      const start = (row * width + query) * (capacity + width);
      // Distance of query and past key j is length + query - j.
      const firstSeen = Math.max(0, length + query - window + 1);
      mask.fill(HIDDEN, start, start + Math.min(firstSeen, capacity));
      mask.fill(HIDDEN, start + length, start + capacity);
      for (let key = 0; key < width; key++) {
        if (key > query || query - key >= window) mask[start + capacity + key] = HIDDEN;
      }
    }
  }
  return {
    mask: { data: mask, shape: [rows, 1, 1, width, capacity + width] },
    prefix_mask: prefixMask(config, { prefix, past }, rows, width),
  };
}

/** [prefixes, 1, blocks, 1, blockLength], or with a sliding window, instead of the last 1, one for every query of every row and query head of a group. */
function prefixMask(
  config: DecoderConfig,
  { prefix, past }: Pick<ForwardInput, 'prefix' | 'past'>,
  rows: number,
  width: number,
): Tensor {
  const { shapes, blocks, blockLength } = prefix;
  const window = config.slidingWindow;
  const group = config.heads / config.kvHeads;
  const rowsOfPrefix = rows / shapes.length;
  const queries = window === undefined ? 1 : rowsOfPrefix * group * width;
  const mask = new Float32Array(shapes.length * blocks * queries * blockLength).fill(HIDDEN);
  shapes.forEach((shape, index) => {
    for (let block = 0; block < shape.blocks; block++) {
      for (let query = 0; query < queries; query++) {
        const row = index * rowsOfPrefix + Math.floor(query / (group * width));
        const position = startOf({ prefix, past }, row, rows) + (query % width);
        const start = ((index * blocks + block) * queries + query) * blockLength;
        for (let key = 0; key < shape.blockLength; key++) {
          const keyPosition = block * shape.blockLength + key;
          const hidden = keyPosition >= shape.tokens || (window !== undefined && position - keyPosition >= window);
          if (!hidden) mask[start + key] = 0;
        }
      }
    }
  });
  return { data: mask, shape: [shapes.length, 1, blocks, queries, blockLength] };
}
