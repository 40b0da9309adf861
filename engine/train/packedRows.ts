import type { Graph, Value } from '../graph/builder.ts';
import { productOf, sumOf } from '../graph/dimensions.ts';
import type { Shape } from '../graph/dimensions.ts';
import * as op from '../graph/operators.ts';
import type { DecoderConfig } from '../model/config.ts';
import { headsFirst, maskedAttention, positionsFirst, type Attention } from '../model/decoder.ts';

/**
 * Rows in which the samples of one prompt stand one after another, the prompt once: first the tokens that all members share (the prompt but its last
 * token), then each member's own (the last token of the prompt, and its completion but the last token). Everything but attention works position by
 * position, so a row is computed as it lies. Attention takes its positions apart into slots: the shared tokens attend to each other, each member's
 * own to the shared ones and to themselves. So the forward bits of a member depend on nothing but its own tokens.
 *
 * Symbols: `batch` rows of `sequence` positions, `members` in each row; `prefix` and `own`: slots for the shared tokens and for those of a member.
 */
export interface PackedRows {
  /** int64 [batch, sequence] */
  tokens: Value;
  attention: Attention;
}

const KEYS = sumOf('prefix', 'own');
const POSITIONS = productOf(['batch', 'sequence']);
const SEQUENCES = productOf(['batch', 'members']);

/**
 * Declares what `layOut` (microBatch.ts) feeds: `tokens`; for each slot its row of [batch*sequence], `prefixRows` [batch, prefix] and `ownRows`
 * [batch, members, own], spare slots a row of padding; `slotOfPosition` [batch*sequence], the other way round, the prefixes' slots first, padding one past
 * the last slot; `ownPositions` [batch, members, own]; masks, added to the scores; the rotary tables.
 */
export function declarePackedRows(graph: Graph, config: DecoderConfig): PackedRows {
  const tokens = graph.input('tokens', 'int64', ['batch', 'sequence']);
  const slots: Slots = {
    rows: tokens.shape,
    prefixRows: graph.input('prefixRows', 'int64', ['batch', 'prefix']),
    ownRows: graph.input('ownRows', 'int64', ['batch', 'members', 'own']),
    slotOfPosition: graph.input('slotOfPosition', 'int64', [POSITIONS]),
  };
  const ownPositions = graph.input('ownPositions', 'int64', ['batch', 'members', 'own']);
  const prefixMask = graph.input('prefixMask', 'float32', ['prefix', 'prefix']);
  const ownMask = graph.input('ownMask', 'float32', ['batch', 1, 1, 'own', KEYS]);
  const cos = graph.input('cos', 'float32', ['positions', config.headDim / 2]);
  const sin = graph.input('sin', 'float32', ['positions', config.headDim / 2]);

  const fromStart = op.integers(graph, [0]);
  const positions = op.reshape(ownPositions, [SEQUENCES, 'own']);
  const turnedPrefix = (x: Value) => op.rotaryEmbedding(headsFirst(x), fromStart, cos, sin);
  const turnedOwn = (x: Value) => op.rotaryEmbedding(headsFirst(x), positions, cos, sin);

  const attention: Attention = (_layer, query, key, value) => {
    const [q, k, v] = [toSlots(query, slots), toSlots(key, slots), toSlots(value, slots)];
    const shared = { key: turnedPrefix(k.prefix), value: headsFirst(v.prefix) };
    const ofPrefix = maskedAttention(config, { query: turnedPrefix(q.prefix), ...shared, mask: prefixMask });
    const ofOwn = maskedAttention(config, {
      query: turnedOwn(q.own),
      key: op.concat([toMembers(shared.key), turnedOwn(k.own)], 2),
      value: op.concat([toMembers(shared.value), headsFirst(v.own)], 2),
      mask: ownMask,
      scores: ['batch', 'members', config.heads, 'own', KEYS],
    });
    return toPositions(positionsFirst(ofPrefix), positionsFirst(ofOwn), slots);
  };
  return { tokens, attention };
}

/** Where the positions of rows [batch, sequence] are in attention. */
interface Slots {
  rows: Shape;
  prefixRows: Value;
  ownRows: Value;
  slotOfPosition: Value;
}

/** Keys or values of the shared tokens for each member: [batch, kvHeads, prefix, headDim] to [batch*members, kvHeads, prefix, headDim]. */
function toMembers(shared: Value): Value {
  const [batch, ...rest] = shared.shape;
  const repeated = op.expand(op.unsqueeze(shared, [1]), [batch!, 'members', ...rest]);
  return op.reshape(repeated, [SEQUENCES, ...rest]);
}

/** [batch, sequence, heads, headDim] to the slots, [batch, prefix, heads, headDim] and [batch*members, own, heads, headDim]. */
export function toSlots(x: Value, { rows, prefixRows, ownRows, slotOfPosition }: Slots): { prefix: Value; own: Value } {
  const graph = x.graph.insertion;
  const heads = x.shape.slice(2);
  const flat = op.reshape(x, [productOf(rows), productOf(heads)]);
  const [batch, members, ownSlots] = ownRows.shape;
  const prefix = op.reshape(op.gather(flat, prefixRows), [...prefixRows.shape, ...heads]);
  const own = op.reshape(op.gather(flat, ownRows), [productOf([batch!, members!]), ownSlots!, ...heads]);
  graph.composite('ToSlots', [x], [prefix, own], ([ofPrefix, ofOwn]) => {
    if (!ofPrefix && !ofOwn) return [undefined];
    const all = joined(ofPrefix ?? op.zeros(x.graph, prefix.shape), ofOwn ?? op.zeros(x.graph, own.shape));
    return [op.reshape(op.gather(all, slotOfPosition), x.shape)];
  });
  return { prefix, own };
}

/** What attention yields, [batch, prefix, width] and [batch*members, own, width], back to the positions: [batch, sequence, width]; padding is 0. */
export function toPositions(prefix: Value, own: Value, { rows, prefixRows, ownRows, slotOfPosition }: Slots): Value {
  const graph = prefix.graph.insertion;
  const width = prefix.shape[2]!;
  const result = op.reshape(op.gather(joined(prefix, own), slotOfPosition), [...rows, width]);
  graph.composite('ToPositions', [prefix, own], [result], ([gradient]) => {
    if (!gradient) return [undefined, undefined];
    // The gradient of padding is 0, so that of spare slots, which are rows of it, is too.
    const flat = op.reshape(gradient, [productOf(rows), width]);
    return [op.gather(flat, prefixRows), op.reshape(op.gather(flat, ownRows), own.shape)];
  });
  return result;
}

/** Slots of the prefixes, then the members' own, then a row of zeros: [.., width]. */
function joined(prefix: Value, own: Value): Value {
  const [, , ...heads] = prefix.shape;
  const width = productOf(heads);
  const nothing = op.zeros(prefix.graph, [1, width]);
  const rows = [prefix, own].map((x) => op.reshape(x, [productOf(x.shape.slice(0, 2)), width]));
  return op.concat([...rows, nothing], 0);
}
