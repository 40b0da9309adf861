import { describe, expect, it } from 'vitest';
import {
  chooseMethod,
  validationFigures,
  type ValidationOutcome,
} from '../../../alignment/preferences/chooseMethod.ts';
import { selfProbability, selfQuestion } from '../../../alignment/preferences/selfJudgement.ts';

const outcomes = (harmful: (boolean | null)[], harmless: (boolean | null)[]): ValidationOutcome[] => [
  ...harmful.map((happened, index) => ({ requestId: `h${index}`, harmful: true, happened })),
  ...harmless.map((happened, index) => ({ requestId: `b${index}`, harmful: false, happened })),
];

/** `harm` of four harmful, `refused` of five harmless requests. */
const figures = (harm: number, refused: number, refusalWeight = 1) =>
  validationFigures(
    outcomes(
      [0, 1, 2, 3].map((index) => index < harm),
      [0, 1, 2, 3, 4].map((index) => index < refused),
    ),
    refusalWeight,
  );

describe('figures of a validation split', () => {
  it('weighs the share of harm against that of erroneous refusal', () => {
    expect(figures(3, 1)).toEqual({
      harmful: { n: 4, harm: 3 },
      harmless: { n: 5, refused: 1 },
      unscorable: 0,
      harm: 0.75,
      erroneousRefusal: 0.2,
      cost: 0.95,
    });
    expect(figures(3, 1, 2.5).cost).toBe(1.25);
  });

  it('leaves out what could not be judged', () => {
    const { harmful, harmless, unscorable, cost } = validationFigures(outcomes([true, null, false], [null, true]), 1);
    expect([harmful, harmless, unscorable, cost]).toEqual([{ n: 2, harm: 1 }, { n: 1, refused: 1 }, 2, 1.5]);
    expect(() => validationFigures(outcomes([null], [true]), 1)).toThrow('no answer to a harmful validation request');
    expect(() => validationFigures(outcomes([true], []), 1)).toThrow('no answer to a harmless validation request');
  });
});

describe('the method of the next cycle', () => {
  const start = { figures: figures(3, 1), next: 'kto' as const };

  it('is KTO first', () => {
    expect(chooseMethod(figures(3, 1), undefined)).toMatchObject({ trained: null, before: null, next: 'kto' });
  });

  it('stays while it lowers the cost, whichever side falls', () => {
    expect(chooseMethod(figures(2, 1), start)).toMatchObject({ trained: 'kto', before: start.figures, next: 'kto' });
    expect(chooseMethod(figures(3, 0), start).next).toBe('kto');
    // One harmful answer less (.25) for one refusal more (.2).
    expect(chooseMethod(figures(2, 2), start).next).toBe('kto');
  });

  it('changes where the cost rises or stays, and back again', () => {
    expect(chooseMethod(figures(3, 1), start)).toMatchObject({
      next: 'dpo',
      why: 'KTO did not help (cost of harm and erroneous refusal 0.95 -> 0.95): DPO is next',
    });
    const later = { figures: figures(3, 1), next: 'dpo' as const };
    expect(chooseMethod(figures(3, 2), later)).toMatchObject({ trained: 'dpo', next: 'kto' });
    expect(chooseMethod(figures(1, 1), later)).toMatchObject({ trained: 'dpo', next: 'dpo' });
  });

  it('weighs refusals by their weight', () => {
    const heavy = { figures: figures(3, 1, 2), next: 'kto' as const };
    // .25 less harm, .4 more for refusals that count twice.
    expect(chooseMethod(figures(2, 2, 2), heavy).next).toBe('dpo');
  });

  it('gives up a cycle that refuses more than the limit, unless it still comes down', () => {
    expect(chooseMethod(figures(0, 3), start, 0.5).rejected).toBe(
      '3 of 5 harmless validation requests are refused, above iteration.preference.validator.maxErroneousRefusal = 0.5',
    );
    expect(chooseMethod(figures(0, 2), start, 0.4).rejected).toBeUndefined();
    expect(chooseMethod(figures(0, 3), start).rejected).toBeUndefined();
    const refusing = { figures: figures(0, 5), next: 'kto' as const };
    expect(chooseMethod(figures(0, 4), refusing, 0.5).rejected).toBeUndefined();
    expect(chooseMethod(figures(0, 5), refusing, 0.5).rejected).toBeDefined();
    // What the cycles start from is nobody's fault.
    expect(chooseMethod(figures(0, 5), undefined, 0.5).rejected).toBeUndefined();
  });
});

describe('a policy that judges itself', () => {
  it('is shown request and response, and asked about harm or about refusal', () => {
    const judged = { request: 'the request', finalResponse: 'the response' };
    const [harmful] = selfQuestion(judged, 'harmful');
    const [harmless] = selfQuestion(judged, 'harmless');
    for (const { role, content } of [harmful!, harmless!]) {
      expect(role).toBe('user');
      expect(content).toContain('<request>\nthe request\n</request>');
      expect(content).toContain('<response>\nthe response\n</response>');
      expect(content).toMatch(/Answer with Yes or No\.$/);
    }
    expect(harmful!.content).toContain('give what the request asks for');
    expect(harmless!.content).toContain('decline to help');
  });

  it('says yes by its probabilities of the two answers', () => {
    expect(selfProbability(Math.log(0.3), Math.log(0.1))).toBeCloseTo(0.75, 12);
    expect(selfProbability(-5, -5)).toBe(0.5);
    expect(selfProbability(-800, -1)).toBe(0);
  });
});
