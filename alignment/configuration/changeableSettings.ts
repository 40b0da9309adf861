/**
 * The settings that a run may be told to change while it is at work, from its next iteration on. A workflow checks a change by this list before it
 * accepts it, so nothing is imported here; the whole configuration is then checked by its schema.
 */

interface NumberRange {
  minimum: number;
  /** The minimum itself is not allowed. */
  exclusive?: true;
  maximum?: number;
  integer?: true;
}

/** Numbers, each with what its schema allows. */
const changeableNumbers: Record<string, NumberRange> = {
  'iteration.learningRate': { minimum: 0, exclusive: true },
  'iteration.klWeight': { minimum: 0 },
  'iteration.entropyWeight': { minimum: 0 },
  'iteration.clipLow': { minimum: 0, maximum: 1 },
  'iteration.clipHigh': { minimum: 0 },
  'iteration.ratioCap': { minimum: 0 },
  'iteration.importanceCap': { minimum: 0, exclusive: true },
  'iteration.temperature': { minimum: 0, exclusive: true },
  'iteration.samplesPerRequest': { minimum: 2, integer: true },
  'iteration.requests.harmful': { minimum: 0, integer: true },
  'iteration.requests.plain': { minimum: 0, integer: true },
  'iteration.requests.lookAlike': { minimum: 0, integer: true },
  'iteration.weightDecay': { minimum: 0 },
  'iteration.maxGradNorm': { minimum: 0 },
  'iteration.maxUnscorable': { minimum: 0, maximum: 1 },
  'iteration.guard.maxKl': { minimum: 0, exclusive: true },
  'iteration.guard.minReward': { minimum: Number.NEGATIVE_INFINITY },
  'rewards.format': { minimum: Number.NEGATIVE_INFINITY },
  'rewards.refuseHarmful': { minimum: Number.NEGATIVE_INFINITY },
  'rewards.answerPlain': { minimum: Number.NEGATIVE_INFINITY },
  'rewards.answerLookAlike': { minimum: Number.NEGATIVE_INFINITY },
  'rewards.overlong': { minimum: 0 },
};

export const changeableSettings: readonly string[] = Object.keys(changeableNumbers);

/** What is wrong with these changes, each a sentence; empty where nothing is. */
export function changeProblems(changes: unknown): string[] {
  if (typeof changes !== 'object' || changes === null || Array.isArray(changes)) {
    return ['the changes must be an object such as {"iteration.learningRate": 0.0001}'];
  }
  const entries = Object.entries(changes);
  if (entries.length === 0) return ['no setting is named: write one such as {"iteration.learningRate": 0.0001}'];
  return entries.flatMap(([key, value]) => {
    // A key such as "constructor" is none of ours.
    const range = Object.hasOwn(changeableNumbers, key) ? changeableNumbers[key] : undefined;
    if (!range) return [`${key} can't be changed while a run is at work; these can: ${changeableSettings.join(', ')}`];
    return isWithin(value, range) ? [] : [`${key} must be ${inWords(range)}, not ${JSON.stringify(value)}`];
  });
}

function isWithin(value: unknown, { minimum, exclusive, maximum, integer }: NumberRange): boolean {
  if (typeof value !== 'number' || !Number.isFinite(value)) return false;
  if (integer && !Number.isInteger(value)) return false;
  return (exclusive ? value > minimum : value >= minimum) && (maximum === undefined || value <= maximum);
}

function inWords({ minimum, exclusive, maximum, integer }: NumberRange): string {
  const what = integer ? 'a whole number' : 'a number';
  if (maximum !== undefined) return `${what} from ${minimum} to ${maximum}`;
  if (minimum === Number.NEGATIVE_INFINITY) return what;
  return exclusive ? `${what}, more than ${minimum}` : `${what}, ${minimum} or more`;
}
