import type { DecoderConfig } from '../model/config.ts';
import { attentionMask, rotaryTables } from '../model/decoder.ts';
import { EngineError } from '../policy.ts';
import type { TrainingSequence } from '../policy.ts';
import type { Tensor } from '../session/session.ts';
import type { ObjectiveGraph } from './objectives/tokenStreams.ts';
import { HEAD_CHUNK } from './tokenLogProbs.ts';

/** A sequence to score or train on; training needs the streams too. */
export type ScoredSequence = Pick<TrainingSequence, 'id' | 'promptTokens' | 'completionTokens'>;

/** Sequences lengths are padded to a multiple of this. */
const LENGTH_STEP = 16;

/** Tokens that the model reads of a sequence: all but the last, which is only predicted. */
const readLength = (sequence: ScoredSequence) => sequence.promptTokens.length + sequence.completionTokens.length - 1;

export const paddedLength = (sequence: ScoredSequence) => Math.ceil(readLength(sequence) / LENGTH_STEP) * LENGTH_STEP;

/** Throws EngineError('invalidInput') naming the sequence if it can't be scored. */
export function checkSequences(config: DecoderConfig, sequences: readonly ScoredSequence[]): void {
  const ids = new Set<string>();
  for (const sequence of sequences) {
    const problem = (message: string) => new EngineError('invalidInput', `sequence '${sequence.id}': ${message}`);
    if (ids.has(sequence.id)) throw problem('its id occurs twice');
    ids.add(sequence.id);
    if (sequence.promptTokens.length === 0)
      throw problem('no prompt tokens: the first completion token would follow nothing');
    if (sequence.completionTokens.length === 0) throw problem('no completion tokens');
    if (readLength(sequence) > config.contextLength)
      throw problem(`${readLength(sequence)} tokens, but the model was made for ${config.contextLength}`);
    for (const token of [...sequence.promptTokens, ...sequence.completionTokens]) {
      if (!Number.isInteger(token) || token < 0 || token >= config.vocabularySize)
        throw problem(`token ${token} is outside the vocabulary of ${config.vocabularySize}`);
    }
  }
}

/** What a run costs besides its tokens, in tokens: measured on 2 cores, a row of 48 or 96 alone against four of them. */
const RUN_COST = 24;

/**
 * Groups sequences (by index) into micro-batches of at most `tokenLimit` padded tokens (at least one sequence each), shortest first, such that the
 * computed tokens plus `RUN_COST` a micro-batch are fewest: a run of one long sequence is nearly as fast as one of many, so padding is worth avoiding.
 * Sorting happens inside runs of `window` sequences, which bounds how many unsummed gradients wait. Bits do not depend on the plan.
 */
export function planMicroBatches(sequences: readonly ScoredSequence[], tokenLimit: number, window: number): number[][] {
  const batches: number[][] = [];
  for (let start = 0; start < sequences.length; start += window) {
    const order = sequences
      .slice(start, start + window)
      .map((sequence, i) => ({ index: start + i, length: paddedLength(sequence) }));
    order.sort((a, b) => a.length - b.length || a.index - b.index);
    const cuts = cheapestCuts(
      order.map(({ length }) => length),
      tokenLimit,
    );
    for (const [from, to] of cuts) batches.push(order.slice(from, to).map(({ index }) => index));
  }
  return batches;
}

/** Cuts rising lengths into runs [from, to) of least cost: each costs its rows times its longest length, plus RUN_COST. */
function cheapestCuts(lengths: readonly number[], tokenLimit: number): [number, number][] {
  const best: { cost: number; from: number }[] = [{ cost: 0, from: 0 }];
  for (let to = 1; to <= lengths.length; to++) {
    const length = lengths[to - 1]!;
    let choice = { cost: Infinity, from: to - 1 };
    for (let from = to - 1; from >= 0; from--) {
      const tokens = (to - from) * length;
      if (from < to - 1 && tokens > tokenLimit) break;
      const cost = best[from]!.cost + tokens + RUN_COST;
      if (cost < choice.cost) choice = { cost, from };
    }
    best.push(choice);
  }
  const cuts: [number, number][] = [];
  for (let to = lengths.length; to > 0; to = best[to]!.from) cuts.unshift([best[to]!.from, to]);
  return cuts;
}

/** Inputs of one run, and where each sequence's tokens are among the gathered ones. */
export interface MicroBatch {
  feeds: Record<string, Tensor>;
  /** [start, end) of each sequence's completion tokens in [tokens] outputs. */
  spans: { start: number; end: number }[];
  /** Real tokens and computed ones, padding included. */
  realTokens: number;
  computedTokens: number;
  /** Length of [tokens] inputs: completion tokens, padded to the head's chunk. */
  gatheredTokens: number;
}

/** Lays sequences out as right-padded rows. */
export function layOut(config: DecoderConfig, sequences: readonly ScoredSequence[], temperature: number): MicroBatch {
  const length = Math.max(...sequences.map(paddedLength));
  const completionTokens = sequences.reduce((sum, sequence) => sum + sequence.completionTokens.length, 0);
  const gatheredTokens = Math.ceil(completionTokens / HEAD_CHUNK) * HEAD_CHUNK;
  const tokens = new BigInt64Array(sequences.length * length);
  const completionRows = new BigInt64Array(gatheredTokens);
  const targets = new BigInt64Array(gatheredTokens);
  const spans: MicroBatch['spans'] = [];
  let next = 0;
  sequences.forEach(({ promptTokens, completionTokens: completion }, row) => {
    [...promptTokens, ...completion.slice(0, -1)].forEach(
      (token, position) => (tokens[row * length + position] = BigInt(token)),
    );
    spans.push({ start: next, end: next + completion.length });
    completion.forEach((token, i) => {
      completionRows[next] = BigInt(row * length + promptTokens.length - 1 + i);
      targets[next++] = BigInt(token);
    });
  });
  const half = config.headDim / 2;
  const { cos, sin } = rotaryTables(config, length);
  const feeds: MicroBatch['feeds'] = {
    tokens: { data: tokens, shape: [sequences.length, length] },
    mask: { data: attentionMask(config, length), shape: [length, length] },
    cos: { data: cos, shape: [length, half] },
    sin: { data: sin, shape: [length, half] },
    completionRows: { data: completionRows, shape: [gatheredTokens] },
    targets: { data: targets, shape: [gatheredTokens] },
    temperature: { data: Float32Array.of(temperature), shape: [] },
  };
  const realTokens = sequences.reduce(
    (sum, sequence) => sum + sequence.promptTokens.length + sequence.completionTokens.length,
    0,
  );
  return { feeds, spans, realTokens, computedTokens: sequences.length * length, gatheredTokens };
}

/** The further inputs of the training graph: streams, settings, and whether to train at all (false: the streams are not read). */
export function trainingFeeds(
  batch: MicroBatch,
  sequences: readonly TrainingSequence[],
  objective: Pick<ObjectiveGraph, 'settings' | 'needsSequences'>,
  references?: readonly (readonly number[])[],
): Record<string, Tensor> {
  const positions = batch.computedTokens;
  const rowOfPosition = new BigInt64Array(positions).fill(BigInt(batch.gatheredTokens));
  const completionRows = batch.feeds['completionRows']!.data as BigInt64Array;
  const realRows = batch.spans.at(-1)!.end;
  for (let row = 0; row < realRows; row++) rowOfPosition[Number(completionRows[row])] = BigInt(row);

  const stream = (
    valuesOf: (sequence: TrainingSequence, index: number) => number | readonly number[],
    name: string,
  ): Tensor => {
    const data = new Float32Array(batch.gatheredTokens);
    sequences.forEach((sequence, index) => {
      const values = valuesOf(sequence, index);
      const { start, end } = batch.spans[index]!;
      if (typeof values === 'number') data.fill(values, start, end);
      else if (values.length === end - start) data.set(values, start);
      else
        throw new EngineError(
          'invalidInput',
          `sequence '${sequence.id}': ${values.length} ${name} for ${end - start} completion tokens`,
        );
    });
    return { data, shape: [batch.gatheredTokens] };
  };
  return {
    rowOfPosition: { data: rowOfPosition, shape: [positions] },
    weight: stream((sequence) => sequence.weight, 'weights'),
    advantages: stream((sequence) => sequence.advantage ?? 0, 'advantages'),
    oldLogProbs: stream((sequence) => sequence.oldLogProbs ?? 0, 'oldLogProbs'),
    hasOldLogProbs: stream((sequence) => (sequence.oldLogProbs ? 1 : 0), 'oldLogProbs'),
    behaviourLogProbs: stream((sequence) => sequence.behaviourLogProbs ?? 0, 'behaviourLogProbs'),
    hasBehaviourLogProbs: stream((sequence) => (sequence.behaviourLogProbs ? 1 : 0), 'behaviourLogProbs'),
    referenceLogProbs: stream((_sequence, index) => references?.[index] ?? 0, 'reference log-probs'),
    ...(objective.needsSequences ? sequenceFeeds(batch, sequences) : {}),
    ...Object.fromEntries(
      Object.entries(objective.settings).map(([name, value]) => [
        `setting.${name}`,
        { data: Float32Array.of(value), shape: [] },
      ]),
    ),
  };
}

/** Which sequence each token belongs to, and whether it counts there: padding belongs to the first one and does not count. */
function sequenceFeeds(batch: MicroBatch, sequences: readonly TrainingSequence[]): Record<string, Tensor> {
  const indices = new BigInt64Array(batch.gatheredTokens);
  const members = new Float32Array(batch.gatheredTokens);
  sequences.forEach(({ weight }, index) => {
    const { start, end } = batch.spans[index]!;
    indices.fill(BigInt(index), start, end);
    for (let token = start; token < end; token++)
      members[token] = (typeof weight === 'number' ? weight : weight[token - start]!) === 0 ? 0 : 1;
  });
  const shape = [batch.gatheredTokens];
  return { sequenceIndices: { data: indices, shape }, sequenceMembers: { data: members, shape } };
}
