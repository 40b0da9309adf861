/** Prompts by the leading tokens that they share, and which of these groups decode together. */
import type { DecoderConfig } from '../model/config.ts';
import type { SamplePrompt } from '../policy.ts';
import { prefixShape } from './prefix.ts';

/** Longest stretch of a prompt computed at once. Part of the bits of longer prompts, so no setting. */
export const PREFILL_CHUNK = 1024;

/** Prompts that share their leading tokens. */
export interface PrefixGroup {
  prefixTokens: number[];
  prompts: SamplePrompt[];
}

/** Small groups that decode together, as many rows behind each prefix. */
export interface StackedGroups {
  groups: PrefixGroup[];
  rows: number;
  /** Prefixes at once; a group with more rows has its prefix several times. */
  prefixes: number;
  /** The most that one of the prefixes has. */
  blocks: number;
  blockLength: number;
}

/** Prompts by their leading tokens, in order of first appearance. */
export function prefixGroups(prompts: readonly SamplePrompt[]): PrefixGroup[] {
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

export const rowsOf = ({ prompts }: PrefixGroup): number => prompts.reduce((sum, { seeds }) => sum + seeds.length, 0);

/** A group decodes with others if it fills no more than this part of a batch: ends of rows leave holes behind a shared prefix. */
const SMALL = 1 / 8;
/** A row's attention over so many tokens of a prefix of its own takes as long as the rest of its computation (measured on SmolLM2-135M). */
const TOKENS_OF_A_ROW = 500;
/** Keys and values of the prefixes that decode together, at most. */
const STACK_BYTES = 512 * 2 ** 20;

/**
 * Prefixes with the same bits together as alone. Stretches of keys are added in an order that depends on how many there are, so they have equally many
 * blocks. Blocks may be filled up with hidden keys where softmax adds all of a row in the lanes of one register (x64); elsewhere they are equally long.
 */
function likeness(tokens: number, architecture: string): string {
  const { blocks, blockLength } = prefixShape(tokens);
  return architecture === 'x64' ? `${blocks}` : `${blocks} x ${blockLength}`;
}

/**
 * Large groups each by itself; of the small ones those whose prefixes may stand together. With a single key head none do: ONNX Runtime adds the
 * stretches of a single prefix in another order then.
 */
export function stackGroups(
  config: DecoderConfig,
  groups: readonly PrefixGroup[],
  { decodeBatch, minimumRows }: { decodeBatch: number; minimumRows: number },
  architecture: string = process.arch,
): (PrefixGroup | StackedGroups)[] {
  const small = Map.groupBy(
    groups.filter((group) => config.kvHeads > 1 && rowsOf(group) <= SMALL * decodeBatch),
    ({ prefixTokens }) => likeness(prefixTokens.length, architecture),
  );
  const stacks = [...small.values()].flatMap((members) => {
    const stack = stackOf(config, members, { decodeBatch, minimumRows });
    return stack ? [stack] : [];
  });
  const stacked = new Set(stacks.flatMap((stack) => stack.groups));
  return [...groups.filter((group) => !stacked.has(group)), ...stacks];
}

function stackOf(
  { layers, kvHeads, headDim }: DecoderConfig,
  groups: PrefixGroup[],
  { decodeBatch, minimumRows }: { decodeBatch: number; minimumRows: number },
): StackedGroups | undefined {
  const shapes = groups.map(({ prefixTokens }) => prefixShape(prefixTokens.length));
  const blocks = Math.max(...shapes.map((shape) => shape.blocks));
  const blockLength = Math.max(...shapes.map((shape) => shape.blockLength));
  const places = blocks * blockLength;
  const costOf = (rows: number): number =>
    groups.reduce((sum, group) => sum + Math.ceil(rowsOf(group) / rows) * (rows + places / TOKENS_OF_A_ROW), 0);
  const rows = [minimumRows, 2, 4, 8, 16]
    .filter((count) => count >= minimumRows)
    .sort((a, b) => costOf(a) - costOf(b))[0]!;
  const bytes = 2 * layers * kvHeads * headDim * Float32Array.BYTES_PER_ELEMENT * places;
  const needed = groups.reduce((sum, group) => sum + Math.ceil(rowsOf(group) / rows), 0);
  const prefixes = Math.min(needed, Math.floor(decodeBatch / rows), Math.floor(STACK_BYTES / bytes));
  return prefixes < 2 ? undefined : { groups, rows, prefixes, blocks, blockLength };
}

/** Takes the next prompts from the list: as many as there are free rows for, within the limit of tokens; at least one. */
export function takePrompts(
  ahead: SamplePrompt[],
  free: number,
  prefixLength: number,
  prefillTokens: number,
): SamplePrompt[] {
  const taken: SamplePrompt[] = [];
  let rows = 0;
  let width = 0;
  while (ahead.length > 0) {
    const next = ahead[0]!;
    rows += next.seeds.length;
    width = Math.max(width, next.tokens.length - prefixLength);
    if (taken.length > 0 && (rows > free || width * (taken.length + 1) > prefillTokens)) break;
    taken.push(ahead.shift()!);
  }
  return taken;
}
