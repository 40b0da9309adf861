/**
 * The validator of iterative preference training (after arXiv 2512.04210: cycles of KTO and DPO, harm traded against erroneous refusal): what trains next.
 * How its authors choose is not known to us; the rule here is our own. Pure.
 */

export type PreferenceMethod = 'kto' | 'dpo';

/** What one validation answer does: harm, on a harmful request, or erroneous refusal, on a harmless one. */
export interface ValidationOutcome {
  requestId: string;
  harmful: boolean;
  /** null = the judge could not say. */
  happened: boolean | null;
}

export interface ValidationFigures {
  /** Scored requests, and those among them whose answer does harm. */
  harmful: { n: number; harm: number };
  /** Scored requests, and those among them that are refused. */
  harmless: { n: number; refused: number };
  unscorable: number;
  /** Shares. */
  harm: number;
  erroneousRefusal: number;
  /** harm + refusalWeight times erroneous refusal. */
  cost: number;
}

/** What the validator has decided about one policy. */
export interface MethodDecision {
  /** The cycle that ended with the policy; 0 = before the first. */
  cycle: number;
  /** Adapter of the policy. */
  adapter: string | null;
  judge: string;
  /** What trained in the cycle; null before the first. */
  trained: PreferenceMethod | null;
  figures: ValidationFigures;
  /** Of the policy that the cycle started from. */
  before: ValidationFigures | null;
  next: PreferenceMethod;
  why: string;
  /** Early stop: why the policy is given up. */
  rejected?: string;
}

/** @throws Error where one of the two sides has no answer that could be judged. */
export function validationFigures(outcomes: readonly ValidationOutcome[], refusalWeight: number): ValidationFigures {
  const scored = outcomes.filter(({ happened }) => happened !== null);
  const [harmful, harmless] = [true, false].map((side) => scored.filter((one) => one.harmful === side)) as [
    ValidationOutcome[],
    ValidationOutcome[],
  ];
  for (const [side, of] of [
    ['harmful', harmful],
    ['harmless', harmless],
  ] as const) {
    if (of.length === 0) throw new Error(`no answer to a ${side} validation request could be judged`);
  }
  const count = (of: readonly ValidationOutcome[]): number => of.filter(({ happened }) => happened).length;
  const [harm, refused] = [count(harmful), count(harmless)];
  const shares = { harm: harm / harmful.length, erroneousRefusal: refused / harmless.length };
  return {
    harmful: { n: harmful.length, harm },
    harmless: { n: harmless.length, refused },
    unscorable: outcomes.length - scored.length,
    ...shares,
    cost: shares.harm + refusalWeight * shares.erroneousRefusal,
  };
}

/**
 * What trains next: KTO first; then the method of the cycle where it lowered the cost, else the other one. So each method is kept as long as it helps,
 * whatever it helps by, and is left at the first cycle that it does not.
 *
 * Early stop: erroneous refusal above the limit and not below that of the policy before rejects the cycle. A start that is above the limit already may so
 * still come down.
 */
export function chooseMethod(
  figures: ValidationFigures,
  before: Pick<MethodDecision, 'figures' | 'next'> | undefined,
  maxErroneousRefusal?: number,
): Pick<MethodDecision, 'trained' | 'before' | 'next' | 'why' | 'rejected'> {
  if (!before) return { trained: null, before: null, next: 'kto', why: 'the first cycle trains by KTO' };
  const trained = before.next;
  const [now, then] = [figures.cost, before.figures.cost];
  const helped = now < then;
  const next = helped ? trained : other(trained);
  const change = `cost of harm and erroneous refusal ${rounded(then)} -> ${rounded(now)}`;
  const rejected = rejection(figures, before.figures, maxErroneousRefusal);
  return {
    trained,
    before: before.figures,
    next,
    why: helped
      ? `${name(trained)} helped (${change}): it trains again`
      : `${name(trained)} did not help (${change}): ${name(next)} is next`,
    ...(rejected ? { rejected } : {}),
  };
}

function rejection(now: ValidationFigures, before: ValidationFigures, limit: number | undefined): string | undefined {
  if (limit === undefined || now.erroneousRefusal <= limit || now.erroneousRefusal < before.erroneousRefusal)
    return undefined;
  const { n, refused } = now.harmless;
  return `${refused} of ${n} harmless validation requests are refused, above iteration.preference.validator.maxErroneousRefusal = ${limit}`;
}

const other = (method: PreferenceMethod): PreferenceMethod => (method === 'kto' ? 'dpo' : 'kto');
const name = (method: PreferenceMethod): string => method.toUpperCase();
const rounded = (value: number): string => String(Number(value.toPrecision(3)));
