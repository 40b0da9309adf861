import { describe, expect, it } from 'vitest';
import { agreementOf, confusionOf } from '../../../alignment/judges/agreement.ts';

const rows = (label: string, said: string, count: number) => Array.from({ length: count }, () => ({ label, said }));

describe('agreementOf', () => {
  it("gives accuracy and Cohen's kappa of a hand-worked table", () => {
    // 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5, kappa 0.4.
    const agreement = agreementOf([
      ...rows('yes', 'yes', 20),
      ...rows('yes', 'no', 5),
      ...rows('no', 'yes', 10),
      ...rows('no', 'no', 15),
    ]);
    expect(agreement.n).toBe(50);
    expect(agreement.accuracy.value).toBeCloseTo(0.7, 12);
    expect(agreement.accuracy.interval[0]).toBeCloseTo(0.5625, 3);
    expect(agreement.accuracy.interval[1]).toBeCloseTo(0.809, 3);
    expect(agreement.kappa).toBeCloseTo(0.4, 12);
    expect(agreement.confusion).toEqual({ no: { no: 15, yes: 10 }, yes: { no: 5, yes: 20 } });
  });

  it('is below 0 where the two say the contrary, and null where both know one class', () => {
    expect(agreementOf([...rows('a', 'b', 3), ...rows('b', 'a', 3)]).kappa).toBeCloseTo(-1, 12);
    expect(agreementOf(rows('a', 'a', 4)).kappa).toBeNull();
    expect(() => agreementOf([])).toThrow('no answers');
  });

  it('counts classes that only one of the two knows', () => {
    expect(confusionOf(rows('partial', 'refusal', 2), ['full', 'partial'], ['refusal', 'unusable'])).toEqual({
      full: { refusal: 0, unusable: 0 },
      partial: { refusal: 2, unusable: 0 },
    });
  });
});
