import type { DecoderConfig } from '../model/config.ts';
import { attentionMask, MASKED, rotaryTables } from '../model/decoder.ts';
import { EngineError } from '../policy.ts';
import type { TrainingSequence } from '../policy.ts';
import type { Tensor } from '../session/session.ts';
import type { ObjectiveGraph } from './objectives/tokenStreams.ts';
import { padded, prefixSlotsOf, rowLength, sharedLength } from './planMicroBatches.ts';
import type { ScoredSequence } from './planMicroBatches.ts';
import { HEAD_CHUNK } from './tokenLogProbs.ts';

/** Inputs of one run, and where each sequence's tokens are among the gathered ones. */
export interface MicroBatch {
  feeds: Record<string, Tensor>;
  /** [start, end) of each sequence's completion tokens in [tokens] outputs, row after row. */
  spans: { start: number; end: number }[];
  /** Tokens of all sequences, prompts included. */
  realTokens: number;
  /** Positions of the rows, padding included, and those of them that hold a token. */
  computedTokens: number;
  filledTokens: number;
  /** Length of [tokens] inputs: completion tokens, padded to the head's chunk. */
  gatheredTokens: number;
}

/** Lays groups out as the rows of packedRows.ts, padded on the right. All groups have the same number of members. */
export function layOut(
  config: DecoderConfig,
  groups: readonly (readonly ScoredSequence[])[],
  temperature: number,
): MicroBatch {
  const sequences = groups.flat();
  const members = groups[0]!.length;
  if (groups.some((group) => group.length !== members)) throw new Error('rows with different numbers of members');
  const length = Math.max(...groups.map(rowLength));
  const prefix = Math.max(...groups.map(([first]) => prefixSlotsOf(first!)));
  const own = Math.max(...sequences.map(({ completionTokens }) => padded(completionTokens.length)));
  const completionTokens = sequences.reduce((sum, sequence) => sum + sequence.completionTokens.length, 0);
  const gatheredTokens = Math.ceil(completionTokens / HEAD_CHUNK) * HEAD_CHUNK;
  const [prefixSlots, ownSlots] = [groups.length * prefix, sequences.length * own];

  const tokens = new BigInt64Array(groups.length * length);
  const prefixRows = new BigInt64Array(prefixSlots);
  const ownRows = new BigInt64Array(ownSlots);
  const slotOfPosition = new BigInt64Array(tokens.length).fill(BigInt(prefixSlots + ownSlots));
  const ownPositions = new BigInt64Array(ownSlots);
  const completionRows = new BigInt64Array(gatheredTokens);
  const targets = new BigInt64Array(gatheredTokens);
  const spans: MicroBatch['spans'] = [];
  let next = 0;
  let filledTokens = 0;
  groups.forEach((group, row) => {
    const rowStart = row * length;
    // The last position of every row is padding.
    prefixRows.fill(BigInt(rowStart + length - 1), row * prefix, (row + 1) * prefix);
    ownRows.fill(BigInt(rowStart + length - 1), row * members * own, (row + 1) * members * own);
    let at = rowStart;
    const place = (token: number, rows: BigInt64Array, slot: number, slotBefore: number) => {
      tokens[at] = BigInt(token);
      rows[slot] = BigInt(at);
      slotOfPosition[at++] = BigInt(slotBefore + slot);
    };
    const shared = sharedLength(group[0]!);
    for (let i = 0; i < shared; i++) place(group[0]!.promptTokens[i]!, prefixRows, row * prefix + i, 0);
    group.forEach(({ promptTokens, completionTokens: completion }, member) => {
      spans.push({ start: next, end: next + completion.length });
      completion.forEach((token, i) => {
        const slot = (row * members + member) * own + i;
        completionRows[next] = BigInt(at);
        targets[next++] = BigInt(token);
        ownPositions[slot] = BigInt(shared + i);
        place(i === 0 ? promptTokens[shared]! : completion[i - 1]!, ownRows, slot, prefixSlots);
      });
    });
    filledTokens += at - rowStart;
  });
  const half = config.headDim / 2;
  // The operator wants at least as many positions as slots.
  const table = Math.max(
    prefix,
    own,
    ...sequences.map((sequence) => sharedLength(sequence) + sequence.completionTokens.length),
  );
  const { cos, sin } = rotaryTables(config, table);
  const feeds: MicroBatch['feeds'] = {
    tokens: { data: tokens, shape: [groups.length, length] },
    prefixRows: { data: prefixRows, shape: [groups.length, prefix] },
    ownRows: { data: ownRows, shape: [groups.length, members, own] },
    slotOfPosition: { data: slotOfPosition, shape: [tokens.length] },
    ownPositions: { data: ownPositions, shape: [groups.length, members, own] },
    prefixMask: { data: attentionMask(config, prefix), shape: [prefix, prefix] },
    ownMask: {
      data: ownMask(
        config,
        groups.map(([first]) => sharedLength(first!)),
        prefix,
        own,
      ),
      shape: [groups.length, 1, 1, own, prefix + own],
    },
    cos: { data: cos, shape: [table, half] },
    sin: { data: sin, shape: [table, half] },
    completionRows: { data: completionRows, shape: [gatheredTokens] },
    targets: { data: targets, shape: [gatheredTokens] },
    temperature: { data: Float32Array.of(temperature), shape: [] },
  };
  const realTokens = sequences.reduce(
    (sum, sequence) => sum + sequence.promptTokens.length + sequence.completionTokens.length,
    0,
  );
  return { feeds, spans, realTokens, computedTokens: tokens.length, filledTokens, gatheredTokens };
}

/**
 * What a member's own tokens see, [rows, own, prefix + own]: of the shared tokens (`shared` of them in each row) and of its own those up to themselves,
 * limited to the sliding window.
 */
function ownMask(config: DecoderConfig, shared: readonly number[], prefix: number, own: number): Float32Array {
  const keys = prefix + own;
  const mask = new Float32Array(shared.length * own * keys).fill(MASKED);
  const window = config.slidingWindow ?? Infinity;
  shared.forEach((length, row) => {
    for (let query = 0; query < own; query++) {
      const start = (row * own + query) * keys;
      // Distances: to shared token k it is length + query - k, to own token k query - k.
      const firstShared = Math.max(0, length + query - window + 1);
      if (firstShared < length) mask.fill(0, start + firstShared, start + length);
      mask.fill(0, start + prefix + Math.max(0, query - window + 1), start + prefix + query + 1);
    }
  });
  return mask;
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
