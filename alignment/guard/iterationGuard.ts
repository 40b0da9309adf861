/**
 * When an iteration's outcome is rejected: figures that are not finite, a collapsed reward, a KL above its limit. Pure and free of imports, so that a
 * workflow can decide by it.
 */

/** `iteration.guard`, defaults filled in. */
export interface GuardSettings {
  /** Highest mean KL to the reference; absent = no limit. */
  maxKl?: number;
  /** Lowest mean reward; absent = no limit. */
  minReward?: number;
  /** Highest share of harmless requests of one kind that the probe refuses; absent = no limit. */
  maxErroneousRefusal?: number;
  /** So many iterations in a row must be below `minReward`. */
  patience: number;
  /** What follows a rejection. */
  action: 'rollBack' | 'stop';
  /** The learning rate is multiplied by it at a roll-back. */
  rateFactor: number;
  /** After so many roll-backs of its own the run waits for its operator instead. */
  maxRollBacks: number;
}

export interface Rejection {
  /** What was seen, with the numbers. */
  cause: string;
  /** The newest iteration whose policy is still trusted; 0 = what the iterations started from. */
  lastGood: number;
  /** What follows, whatever the guard's settings say. */
  action?: 'stop';
}

/**
 * Whether iteration `iteration` is rejected. Its chains, and so its reward and its KL, are those of the policy that it started from: what they tell
 * against is the step before it. So KL above the limit leaves the policy of `iteration - 2` as the last good one; a reward that was too low in the
 * iterations `iteration - patience + 1` to `iteration` the one of `iteration - patience - 1`.
 *
 * @param recentRewards mean rewards of the newest iterations, this one last.
 */
export function judgeIteration(
  guard: GuardSettings,
  iteration: number,
  figures: Readonly<Record<string, unknown>>,
  recentRewards: readonly number[],
): Rejection | undefined {
  const notFinite = ['loss', 'kl', 'grad_norm', 'reward'].filter(
    // A number that is not finite crosses JSON as null.
    (name) => name in figures && !Number.isFinite(figures[name]),
  );
  if (notFinite.length > 0)
    return rejectedStep(iteration, `${notFinite.join(', ')} of its step is not a finite number`);
  const kl = figures['kl'];
  if (guard.maxKl !== undefined && typeof kl === 'number' && kl > guard.maxKl) {
    return {
      cause: `KL ${rounded(kl)} is above iteration.guard.maxKl = ${guard.maxKl}`,
      lastGood: Math.max(0, iteration - 2),
    };
  }
  const { maxErroneousRefusal } = guard;
  for (const kind of maxErroneousRefusal === undefined ? [] : ['plain', 'look-alike']) {
    const refused = figures[`probe/refusal/${kind}`];
    // The probe is of the policy that the iteration ends with.
    if (typeof refused === 'number' && refused > maxErroneousRefusal!)
      return rejectedStep(
        iteration,
        `the probe refuses ${rounded(refused)} of the ${kind} requests, above iteration.guard.maxErroneousRefusal = ${maxErroneousRefusal}`,
      );
  }
  const { minReward, patience } = guard;
  const judged = recentRewards.slice(-patience);
  if (minReward !== undefined && judged.length === patience && judged.every((reward) => reward < minReward)) {
    return {
      cause: `mean reward ${judged.map(rounded).join(', ')} of ${patience} iterations in a row is below iteration.guard.minReward = ${minReward}`,
      lastGood: Math.max(0, iteration - patience - 1),
    };
  }
  return undefined;
}

/** The step of an iteration could not be taken: the policy that it started from is as good as before. */
export function rejectedStep(iteration: number, cause: string): Rejection {
  return { cause, lastGood: iteration - 1 };
}

const rounded = (value: number): string => String(Number(value.toPrecision(3)));
