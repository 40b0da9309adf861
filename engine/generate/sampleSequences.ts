import type { OnProgress, SampledSequence, SamplePrompt, SamplingOptions } from '../policy.ts';
import { EngineError } from '../policy.ts';
import type { Prefix } from './prefix.ts';
import { emptyPrefix, extendPrefix } from './prefix.ts';
import { drawProcessed, logProbsOf, shapesDistribution } from './processedDistribution.ts';
import { checkOptions, checkPrompt } from './checkRequest.ts';
import type { PromptKeys } from './rowCache.ts';
import { RowCache } from './rowCache.ts';
import type { ForwardInput, ForwardResult, Sampler } from './sampler.ts';
import { stopStringTest } from './stopStrings.ts';
import { uniformNumber } from './uniformNumber.ts';

/** Longest stretch of a prompt computed at once. Part of the bits of longer prompts, so no setting. */
export const PREFILL_CHUNK = 1024;

export interface BatchLimits {
  /** Most rows decoded together. */
  decodeBatch: number;
  /** Most tokens (padding included) of prompts computed together. */
  prefillTokens: number;
}

/** One sequence on its way. */
interface Row {
  prompt: SamplePrompt;
  sampleIndex: number;
  tokens: number[];
  logProbs: number[];
  /** See SamplingOptions.firstTokens. */
  firstLogProbs?: number[];
  /** It has drawn a stop token or completed a stop string. */
  stopped: boolean;
  /** Most tokens it may get: fewer than asked for if the model's context ends before. */
  limit: number;
  promptKeys: PromptKeys | undefined;
}

/** Prompts that share their leading tokens, and the place where the shared part ends. */
interface PrefixGroup {
  prefixTokens: number[];
  prompts: SamplePrompt[];
}

/**
 * Samples all sequences of all prompts. Prompts with the same leading tokens decode together over one copy of these tokens' keys; a sequence that
 * ends leaves the batch, and the samples of the next prompts take its place. None of this changes a sequence: its tokens and log-probabilities
 * depend on prompt, prefix length, seed and options alone.
 *
 * Returns sequences in the order of prompts and seeds. Throws EngineError('invalidInput') naming the prompt, EngineError('notFinite') if the model
 * yields NaN or infinity.
 */
export async function sampleSequences(
  sampler: Sampler,
  prompts: readonly SamplePrompt[],
  options: SamplingOptions,
  limits: BatchLimits,
  onProgress: OnProgress = () => undefined,
): Promise<SampledSequence[]> {
  for (const prompt of prompts) checkPrompt(sampler.config, prompt, options);
  checkOptions(sampler.config, options);
  const endsText = await stopStringTest(options);
  const processed = shapesDistribution(options);
  const total = prompts.reduce((sum, { seeds }) => sum + seeds.length, 0);
  const finished: Row[] = [];
  let sampledTokens = 0;
  const report = (phase: 'prefill' | 'decode') =>
    onProgress({ phase, done: finished.length, total, tokens: sampledTokens });

  for (const group of prefixGroups(prompts)) {
    const prefix = await computePrefix(sampler, group.prefixTokens, () => report('prefill'));
    await sampleGroup(group, prefix);
  }
  return inOrder(prompts, finished);

  async function sampleGroup(group: PrefixGroup, prefix: Prefix): Promise<void> {
    const samples = group.prompts.reduce((sum, { seeds }) => sum + seeds.length, 0);
    const maximumRows = Math.max(sampler.minimumRows, Math.min(limits.decodeBatch, samples));
    const cache = new RowCache(sampler.config, maximumRows);
    const ahead = [...group.prompts];
    const waiting: Row[] = [];
    const running: Row[] = []; // row i of the cache

    while (ahead.length + waiting.length + running.length > 0) {
      const free = maximumRows - running.length;
      // Prompts are computed when a quarter of the batch is free: each run of few rows costs nearly as much as one of many.
      if (waiting.length === 0 && ahead.length > 0 && (running.length === 0 || free >= maximumRows / 4)) {
        for (const row of await startRows(takePrompts(ahead, free, prefix.length, limits), prefix))
          settle(row, waiting);
        report('prefill');
      }
      while (waiting.length > 0 && running.length < maximumRows) {
        const row = waiting.shift()!;
        cache.admit(row.promptKeys!);
        row.promptKeys = undefined;
        running.push(row);
      }
      if (running.length === 0) continue;

      const { drawn, newKeys, newValues, nonFinite } = await draw(running, {
        tokens: running.map((row) => [row.tokens.at(-1)!]),
        prefix,
        past: cache,
        draws: running.map((row, index) => ({ row: index, token: 0, uniform: uniformOf(row) })),
      });
      cache.append(newKeys, newValues);
      drawn.forEach((draw, index) => addToken(running[index]!, draw, nonFinite));
      for (let index = running.length - 1; index >= 0; index--) {
        if (!isFinished(running[index]!)) continue;
        finished.push(running[index]!);
        cache.remove(index);
        const last = running.pop()!;
        if (index < running.length) running[index] = last;
      }
      report('decode');
    }
  }

  /** Computes what follows the prefix in each prompt, and draws the first token of each of their samples. */
  async function startRows(started: readonly SamplePrompt[], prefix: Prefix): Promise<Row[]> {
    const rests = started.map((prompt) => prompt.tokens.slice(prefix.length));
    const rows = started.flatMap((prompt, promptRow) =>
      prompt.seeds.map((_, sampleIndex) => ({ promptRow, row: newRow(prompt, sampleIndex) })),
    );
    const { drawn, width, newKeys, newValues, nonFinite, logits } = await draw(
      rows.map(({ row }) => row),
      {
        tokens: rests,
        prefix,
        draws: rows.map(({ promptRow, row }) => ({
          row: promptRow,
          token: rests[promptRow]!.length - 1,
          uniform: uniformOf(row),
        })),
      },
    );
    const size = sampler.config.kvHeads * width * sampler.config.headDim;
    const promptKeys = rests.map((rest, index): PromptKeys => {
      const own = (layers: Float32Array[]) => layers.map((layer) => layer.subarray(index * size, (index + 1) * size));
      return { length: rest.length, width, keys: own(newKeys), values: own(newValues) };
    });
    return rows.map(({ promptRow, row }, index) => {
      if (options.firstTokens) row.firstLogProbs = logProbsOf(logits![index]!, options.firstTokens);
      addToken(row, drawn[index]!, nonFinite);
      row.promptKeys = promptKeys[promptRow];
      return row;
    });
  }

  /** Draws a token for each row: in the graph, or here if an option shapes the distribution. */
  async function draw(rows: readonly Row[], input: Omit<ForwardInput, 'temperature'>): Promise<ForwardResult> {
    if (!processed) {
      const logits = options.firstTokens ? { logits: true } : {};
      return sampler.forward({ ...input, temperature: options.temperature, ...logits });
    }
    const result = await sampler.forward({ ...input, temperature: 1, logits: true });
    const drawn = rows.map(({ prompt, tokens }, index) =>
      drawProcessed(
        result.logits![index]!,
        { promptTokens: prompt.tokens, newTokens: tokens },
        options,
        input.draws[index]!.uniform,
      ),
    );
    return { ...result, drawn };
  }

  function newRow(prompt: SamplePrompt, sampleIndex: number): Row {
    const room = sampler.config.contextLength - prompt.tokens.length;
    const limit = Math.min(options.maxNewTokens, room);
    return { prompt, sampleIndex, tokens: [], logProbs: [], stopped: false, limit, promptKeys: undefined };
  }

  function uniformOf(row: Row): number {
    return options.temperature === 0 ? 0 : uniformNumber(row.prompt.seeds[row.sampleIndex]!, row.tokens.length);
  }

  function addToken(row: Row, draw: { token: number; logProb: number }, nonFinite: string | undefined): void {
    if (!Number.isFinite(draw.logProb) && !row.firstLogProbs) {
      throw new EngineError(
        'notFinite',
        `prompt '${row.prompt.id}', sample ${row.sampleIndex}, token ${row.tokens.length}: the model's probabilities are not finite${nonFinite ? `: ${nonFinite}` : ''}`,
      );
    }
    row.tokens.push(draw.token);
    row.logProbs.push(draw.logProb);
    row.stopped = options.stopTokens.includes(draw.token) || endsText(row.tokens);
    sampledTokens++;
  }

  function isFinished(row: Row): boolean {
    return row.stopped || row.tokens.length >= row.limit;
  }

  function settle(row: Row, waiting: Row[]): void {
    if (!isFinished(row)) waiting.push(row);
    else finished.push(row);
  }
}

/** Prompts by their leading tokens, in order of first appearance. */
function prefixGroups(prompts: readonly SamplePrompt[]): PrefixGroup[] {
  const groups = new Map<string, PrefixGroup>();
  for (const prompt of prompts) {
    if (prompt.seeds.length === 0) continue;
    const prefixTokens = prompt.tokens.slice(0, boundaryOf(prompt));
    const key = prefixTokens.join();
    const group = groups.get(key) ?? { prefixTokens, prompts: [] };
    group.prompts.push(prompt);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/**
 * Where a prompt's shared part ends: at its own prefix length, but at least one token must be left to draw from, and of a long rest all but the
 * last chunk is added to the prefix. A property of the prompt alone.
 */
function boundaryOf({ tokens, prefixLength }: SamplePrompt): number {
  const shared = Math.min(prefixLength, tokens.length - 1);
  const rest = tokens.length - shared;
  return shared + Math.floor((rest - 1) / PREFILL_CHUNK) * PREFILL_CHUNK;
}

/** Computes a prefix chunk by chunk, each after the chunks before, unless it is known from a call before. */
async function computePrefix(sampler: Sampler, tokens: readonly number[], onChunk: () => void): Promise<Prefix> {
  const known = sampler.recentPrefixes.get(tokens);
  if (known) return known;
  let prefix = emptyPrefix(sampler.config);
  while (prefix.length < tokens.length) {
    const chunk = tokens.slice(prefix.length, prefix.length + PREFILL_CHUNK);
    const input = { tokens: [chunk], prefix, draws: [], temperature: 0 };
    const { width, newKeys, newValues, nonFinite } = await sampler.forward(input);
    if (nonFinite)
      throw new EngineError(
        'notFinite',
        `the first ${prefix.length + chunk.length} tokens of a prompt: the model's keys and values are not finite: ${nonFinite}`,
      );
    prefix = extendPrefix(sampler.config, prefix, { added: chunk.length, width, keys: newKeys, values: newValues });
    onChunk();
  }
  sampler.recentPrefixes.add(tokens, prefix);
  return prefix;
}

/** Takes the next prompts from the list: as many as there are free rows for, within the limit of tokens; at least one. */
function takePrompts(ahead: SamplePrompt[], free: number, prefixLength: number, limits: BatchLimits): SamplePrompt[] {
  const taken: SamplePrompt[] = [];
  let rows = 0;
  let width = 0;
  while (ahead.length > 0) {
    const next = ahead[0]!;
    rows += next.seeds.length;
    width = Math.max(width, next.tokens.length - prefixLength);
    if (taken.length > 0 && (rows > free || width * (taken.length + 1) > limits.prefillTokens)) break;
    taken.push(ahead.shift()!);
  }
  return taken;
}

function inOrder(prompts: readonly SamplePrompt[], finished: Row[]): SampledSequence[] {
  const order = new Map(prompts.map((prompt, index) => [prompt, index]));
  return finished
    .sort((a, b) => order.get(a.prompt)! - order.get(b.prompt)! || a.sampleIndex - b.sampleIndex)
    .map(({ prompt, sampleIndex, tokens, logProbs, firstLogProbs, stopped }) => ({
      promptId: prompt.id,
      sampleIndex,
      tokens,
      logProbs,
      ...(firstLogProbs ? { firstLogProbs } : {}),
      finishReason: stopped ? 'stop' : 'length',
    }));
}
