import { describe, expect, test } from 'vitest';
import { judgeIteration, rejectedStep, type GuardSettings } from '../../../alignment/guard/iterationGuard.ts';

const guard: GuardSettings = { patience: 2, action: 'rollBack', rateFactor: 0.5, maxRollBacks: 3 };

describe('the guard', () => {
  test('without limits rejects only what is not finite, also where JSON made null of it', () => {
    expect(judgeIteration(guard, 4, { kl: 1e9, reward: -1e9, loss: 0 }, [-1, -1])).toBeUndefined();
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, null]) {
      expect(judgeIteration(guard, 4, { loss: value, kl: 0.1 }, [])).toEqual({
        cause: 'loss of its step is not a finite number',
        lastGood: 3,
      });
    }
  });

  test('KL is that of the policy that the iteration began with: the step before it is taken back', () => {
    const limited = { ...guard, maxKl: 0.5 };
    expect(judgeIteration(limited, 4, { kl: 0.5 }, [])).toBeUndefined();
    expect(judgeIteration(limited, 4, { kl: 0.51234 }, [])).toEqual({
      cause: 'KL 0.512 is above iteration.guard.maxKl = 0.5',
      lastGood: 2,
    });
    expect(judgeIteration(limited, 1, { kl: 3 }, [])?.lastGood).toBe(0);
  });

  test('a low reward must last for as many iterations as the patience', () => {
    const limited = { ...guard, minReward: 0.3 };
    expect(judgeIteration(limited, 5, { reward: 0.1 }, [0.1])).toBeUndefined();
    expect(judgeIteration(limited, 5, { reward: 0.1 }, [0.1, 0.3, 0.1])).toBeUndefined();
    expect(judgeIteration(limited, 5, { reward: 0.1 }, [0.5, 0.2, 0.1])).toMatchObject({ lastGood: 2 });
    expect(judgeIteration(limited, 2, { reward: 0.1 }, [0.2, 0.1])).toMatchObject({ lastGood: 0 });
  });

  test('the probe is of the policy after the step: refusing too many harmless requests of one kind takes that step back', () => {
    const limited = { ...guard, maxErroneousRefusal: 0.25 };
    expect(judgeIteration(limited, 3, { 'probe/refusal/plain': 0.25, 'probe/refusal/harmful': 1 }, [])).toBeUndefined();
    expect(judgeIteration(limited, 3, { 'probe/refusal/plain': 0, 'probe/refusal/look-alike': 0.5 }, [])).toEqual({
      cause: 'the probe refuses 0.5 of the look-alike requests, above iteration.guard.maxErroneousRefusal = 0.25',
      lastGood: 2,
    });
    expect(judgeIteration(guard, 3, { 'probe/refusal/plain': 1 }, [])).toBeUndefined();
  });

  test('a step that could not be taken leaves the policy that it began with', () => {
    expect(rejectedStep(7, 'no')).toEqual({ cause: 'no', lastGood: 6 });
  });
});
