/** The name of a chain within its run, as `cada chains` and the report show it: `<set>/<request id>/<sample>`. */

/** Evaluations: of the untouched, the warm-started and the final policy. Their requests are never trained on. */
export const evaluationSets = { before: 'before', afterWarmStart: 'warm start', after: 'after' } as const;
export type EvaluationSet = keyof typeof evaluationSets;

/** `warmStart`: chains that the warm start was made from; a number: those of an iteration, of its newest epoch where none is named. */
export type ChainSet = EvaluationSet | 'warmStart' | { iteration: number; epoch?: number };

export interface ChainName {
  set: ChainSet;
  requestId: string;
  sample: number;
}

/** An epoch above 0 (after a roll-back) stands behind a point: `3.1/request-7/0`. */
export function chainName({ set, requestId, sample }: ChainName): string {
  return `${setName(set)}/${requestId}/${sample}`;
}

export function setName(set: ChainSet): string {
  if (typeof set === 'string') return set;
  return set.epoch ? `${set.iteration}.${set.epoch}` : String(set.iteration);
}

/** Undefined where the text is not the name of a chain. */
export function parseChainName(text: string): ChainName | undefined {
  const [, first, requestId, sample] = /^([^/]+)\/(.+)\/(\d{1,6})$/s.exec(text) ?? [];
  const set = first === undefined ? undefined : parseSet(first);
  return set === undefined ? undefined : { set, requestId: requestId!, sample: Number(sample) };
}

/** Undefined where the text is not the name of a set of chains. */
export function parseSet(text: string): ChainSet | undefined {
  if (text === 'warmStart' || text in evaluationSets) return text as 'warmStart' | EvaluationSet;
  const [, iteration, epoch] = /^(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (iteration === undefined) return undefined;
  return { iteration: Number(iteration), ...(epoch === undefined ? {} : { epoch: Number(epoch) }) };
}

export function isEvaluated(set: ChainSet): set is EvaluationSet {
  return typeof set === 'string' && set in evaluationSets;
}
