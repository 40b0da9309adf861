import type { OnProgress, SampledSequence, SamplePrompt, SamplingOptions } from '../policy.ts';
import { EngineError } from '../policy.ts';
import type { Prefix, PrefixKeys } from './prefix.ts';
import { drawProcessed, logProbsOf, shapesDistribution } from './processedDistribution.ts';
import { checkOptions, checkPrompt } from './checkRequest.ts';
import { computePrefix } from './computePrefix.ts';
import type { PrefixGroup, StackedGroups } from './prefixGroups.ts';
import { prefixGroups, rowsOf, stackGroups, takePrompts } from './prefixGroups.ts';
import { PrefixStack } from './prefixStack.ts';
import type { PromptKeys } from './rowCache.ts';
import { RowCache } from './rowCache.ts';
import type { ForwardInput, ForwardResult, Sampler } from './sampler.ts';
import { stopStringTest } from './stopStrings.ts';
import { uniformNumber } from './uniformNumber.ts';

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

/**
 * Samples all sequences of all prompts. Prompts with the same leading tokens decode together over one copy of these tokens' keys; a sequence that
 * ends leaves the batch, and the samples of the next prompts take its place. Few prompts with the same leading tokens decode together with others, each
 * behind its own. None of this changes a sequence: its tokens and log-probabilities depend on prompt, prefix length, seed and options alone.
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

  const { decodeBatch, prefillTokens } = limits;
  const { minimumRows } = sampler;
  for (const batch of stackGroups(sampler.config, prefixGroups(prompts), { decodeBatch, minimumRows }))
    await ('groups' in batch ? sampleStack(batch) : sampleGroup(batch));
  return inOrder(prompts, finished);

  /** Rows stand close together: behind one prefix any row may take the place of one that has ended. */
  async function sampleGroup(group: PrefixGroup): Promise<void> {
    const prefix = await prefixOf(group);
    const maximumRows = Math.max(minimumRows, Math.min(decodeBatch, rowsOf(group)));
    const cache = new RowCache(sampler.config, maximumRows);
    const ahead = [...group.prompts];
    const waiting: Row[] = [];
    const running: Row[] = []; // row i of the cache

    while (ahead.length + waiting.length + running.length > 0) {
      const free = maximumRows - running.length;
      // Prompts are computed when a quarter of the batch is free: each run of few rows costs nearly as much as one of many.
      if (waiting.length === 0 && ahead.length > 0 && (running.length === 0 || free >= maximumRows / 4)) {
        waiting.push(...(await startRows(takePrompts(ahead, free, prefix.length, prefillTokens), prefix)));
        report('prefill');
      }
      while (waiting.length > 0 && running.length < maximumRows) {
        const row = waiting.shift()!;
        cache.admit(keysOf(row));
        running.push(row);
      }
      if (running.length === 0) continue;

      await decode(running, prefix, cache);
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

  /** A row that ends leaves its place empty until all rows behind its prefix have ended; then the next prefix and its rows take their places. */
  async function sampleStack({ groups, rows, ...size }: StackedGroups): Promise<void> {
    const stack = new PrefixStack(sampler.config, size);
    const cache = new RowCache(sampler.config, size.prefixes * rows);
    const places: (Row | undefined)[] = []; // place i of the cache
    const ahead = [...groups];
    let next: { prefix: Prefix; waiting: Row[] } | undefined;

    while (ahead.length + places.length > 0 || next) {
      while (stack.shapes.length < size.prefixes && (next || ahead.length > 0)) {
        next ??= await startGroup(ahead.shift()!);
        if (next.waiting.length > 0) {
          stack.push(next.prefix);
          for (let place = 0; place < rows; place++) {
            const row = next.waiting.shift();
            cache.admit(row && keysOf(row));
            places.push(row);
          }
        }
        if (next.waiting.length === 0) next = undefined;
      }
      if (places.length === 0) continue;

      await decode(places, stack, cache);
      places.forEach((row, place) => {
        if (!row || !isFinished(row)) return;
        finished.push(row);
        cache.clear(place);
        places[place] = undefined;
      });
      for (let index = stack.shapes.length - 1; index >= 0; index--) {
        if (places.slice(index * rows, (index + 1) * rows).some(Boolean)) continue;
        stack.remove(index);
        cache.remove(index * rows, rows);
        const last = places.splice(-rows);
        if (index < stack.shapes.length) places.splice(index * rows, rows, ...last);
      }
      report('decode');
    }
  }

  async function startGroup(group: PrefixGroup): Promise<{ prefix: Prefix; waiting: Row[] }> {
    const prefix = await prefixOf(group);
    const ahead = [...group.prompts];
    const waiting: Row[] = [];
    while (ahead.length > 0) {
      waiting.push(...(await startRows(takePrompts(ahead, Infinity, prefix.length, prefillTokens), prefix)));
      report('prefill');
    }
    return { prefix, waiting };
  }

  function prefixOf(group: PrefixGroup): Promise<Prefix> {
    return computePrefix(sampler, group.prefixTokens, () => report('prefill'));
  }

  /** One more token for every row; places without one fill up. */
  async function decode(places: readonly (Row | undefined)[], prefix: PrefixKeys, cache: RowCache): Promise<void> {
    const live = places.flatMap((row, place) => (row ? [{ row, place }] : []));
    const { drawn, newKeys, newValues, nonFinite } = await draw(
      live.map(({ row }) => row),
      {
        tokens: places.map((row) => (row ? [row.tokens.at(-1)!] : [])),
        prefix,
        past: cache,
        draws: live.map(({ row, place }) => ({ row: place, token: 0, uniform: uniformOf(row) })),
      },
    );
    cache.append(newKeys, newValues);
    drawn.forEach((draw, index) => addToken(live[index]!.row, draw, nonFinite));
  }

  /** Computes what follows the prefix in each prompt, and draws the first token of each of their samples. Returns those that go on. */
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
    return rows.flatMap(({ promptRow, row }, index) => {
      if (options.firstTokens) row.firstLogProbs = logProbsOf(logits![index]!, options.firstTokens);
      addToken(row, drawn[index]!, nonFinite);
      row.promptKeys = promptKeys[promptRow];
      if (!isFinished(row)) return [row];
      finished.push(row);
      return [];
    });
  }

  /** What the cache needs of a row, which needs it no longer. */
  function keysOf(row: Row): PromptKeys {
    const keys = row.promptKeys!;
    row.promptKeys = undefined;
    return keys;
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
