import type { DecoderConfig } from '../model/config.ts';
import { EngineError } from '../policy.ts';
import type { TrainingSequence } from '../policy.ts';

/** A sequence to score or train on; training needs the streams too. */
export type ScoredSequence = Pick<TrainingSequence, 'id' | 'promptTokens' | 'completionTokens'>;

/** Rows, and slots in attention, are padded to a multiple of this. */
const LENGTH_STEP = 16;

export const padded = (length: number) => Math.ceil(length / LENGTH_STEP) * LENGTH_STEP;

/** Tokens that the model reads of a sequence: all but the last, which is only predicted. */
const readLength = (sequence: ScoredSequence) => sequence.promptTokens.length + sequence.completionTokens.length - 1;

/** Tokens of a prompt that its samples share: all but the last, which each sample's first token is predicted at. */
export const sharedLength = (sequence: ScoredSequence) => sequence.promptTokens.length - 1;

/** Slots of attention for the shared tokens: some, also where there are none. */
export const prefixSlotsOf = (sequence: ScoredSequence) => padded(Math.max(1, sharedLength(sequence)));

/** Computed positions of a row (packedRows.ts): the prompt of its members once, their completions, and at least one position of padding. */
export const rowLength = (members: readonly ScoredSequence[]): number =>
  padded(sharedLength(members[0]!) + members.reduce((sum, member) => sum + member.completionTokens.length, 0) + 1);

/**
 * Most computed positions of a micro-batch. Where every weight is trained, sequences run alone: a gradient is summed over a run, and weights that are inputs
 * multiply several sequences with other bits than one.
 */
export const tokenLimitFor = (everyWeight: boolean, microBatchTokens: number) => (everyWeight ? 1 : microBatchTokens);

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

/**
 * Groups of sequences (by index) whose prompt is computed once: neighbours with the same prompt, by rising length, cut into rows of at most
 * `tokenLimit` positions that together cost least. Attention has as many slots for each member as the longest needs, so very different lengths stay
 * apart. A group is the unit of a gradient: which sequences are in it decides the order of additions.
 */
export function promptGroups(sequences: readonly ScoredSequence[], tokenLimit: number): number[][] {
  const groups: number[][] = [];
  for (let start = 0; start < sequences.length;) {
    let end = start + 1;
    while (end < sequences.length && samePrompt(sequences[start]!, sequences[end]!)) end += 1;
    const lengthOf = (index: number) => sequences[index]!.completionTokens.length;
    const order = Array.from({ length: end - start }, (_, i) => start + i);
    order.sort((a, b) => lengthOf(a) - lengthOf(b) || a - b);
    const cuts = cheapestCuts(order.length, (from, to) => {
      const members = order.slice(from, to).map((index) => sequences[index]!);
      const length = rowLength(members);
      if (to - from > 1 && length > tokenLimit) return undefined;
      const own = padded(members.at(-1)!.completionTokens.length);
      const scores = members.length * own * (prefixSlotsOf(members[0]!) + own);
      // Whole numbers: equal costs must be equal however they are added up.
      return length + Math.round(scores / SCORES_OF_POSITION);
    });
    for (const [from, to] of cuts) groups.push(order.slice(from, to));
    start = end;
  }
  return groups;
}

/** Scores of attention that take as long as a position: less would be right for models that are wider than SmolLM2-135M. */
const SCORES_OF_POSITION = 1200;

const samePrompt = (a: ScoredSequence, b: ScoredSequence) =>
  a.promptTokens.length === b.promptTokens.length && a.promptTokens.every((token, i) => token === b.promptTokens[i]);

/** What a run costs besides its tokens, in tokens: measured on 2 cores, a row of 48 or 96 alone against four of them. */
const RUN_COST = 24;

/**
 * Puts groups into micro-batches of at most `tokenLimit` computed positions (at least one group each), shortest first, such that the computed positions
 * plus `RUN_COST` a micro-batch are fewest: a run of one long row is nearly as fast as one of many, so padding is worth avoiding. Groups of a
 * micro-batch have equally many members and slots for the shared tokens. Sorting happens inside runs of `window` groups, which bounds how many
 * unsummed gradients wait. Bits do not depend on the plan. Returns micro-batches of places in `groups`.
 */
export function planMicroBatches(
  groups: readonly (readonly ScoredSequence[])[],
  tokenLimit: number,
  window = groups.length,
): number[][] {
  const batches: number[][] = [];
  for (let start = 0; start < groups.length; start += window) {
    const alike = new Map<string, { place: number; length: number }[]>();
    for (const [i, members] of groups.slice(start, start + window).entries()) {
      const kind = `${members.length}/${prefixSlotsOf(members[0]!)}`;
      alike.set(kind, [...(alike.get(kind) ?? []), { place: start + i, length: rowLength(members) }]);
    }
    for (const order of alike.values()) {
      order.sort((a, b) => a.length - b.length || a.place - b.place);
      const cuts = cheapestCuts(order.length, (from, to) => {
        const tokens = (to - from) * order[to - 1]!.length;
        return to - from > 1 && tokens > tokenLimit ? undefined : tokens;
      });
      for (const [from, to] of cuts) batches.push(order.slice(from, to).map(({ place }) => place));
    }
  }
  return batches;
}

/** Cuts `count` items into runs [from, to) of least cost: each costs RUN_COST besides its own, which is undefined where a run is too long. */
function cheapestCuts(count: number, costOf: (from: number, to: number) => number | undefined): [number, number][] {
  const best: { cost: number; from: number }[] = [{ cost: 0, from: 0 }];
  for (let to = 1; to <= count; to++) {
    let choice = { cost: Infinity, from: to - 1 };
    for (let from = to - 1; from >= 0; from--) {
      const own = costOf(from, to);
      if (own === undefined) break;
      const cost = best[from]!.cost + own + RUN_COST;
      if (cost < choice.cost) choice = { cost, from };
    }
    best.push(choice);
  }
  const cuts: [number, number][] = [];
  for (let to = count; to > 0; to = best[to]!.from) cuts.unshift([best[to]!.from, to]);
  return cuts;
}
