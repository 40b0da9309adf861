import { describe, expect, it } from 'vitest';
import { compareExposures, exposureFigures } from '../../../alignment/evaluation/exposure.ts';
import { wilsonInterval } from '../../../alignment/evaluation/intervals.ts';
import { makeScored } from '../makeChain.ts';

const answer = (id: string, category: string, kind: 'harmful' | 'plain' | 'look-alike', refused: boolean) => ({
  category,
  scored: makeScored(id, { kind, verdict: refused ? 'refusal' : 'compliance' }),
});

const before = [
  answer('a', 'hate', 'harmful', true),
  answer('b', 'hate', 'harmful', false),
  answer('c', 'privacy', 'harmful', false),
  answer('d', 'privacy', 'look-alike', true),
  // A topic of a plain request, even with the name of a hazard, is of neither.
  answer('e', 'privacy', 'plain', true),
];
const after = before.map(({ category, scored }) => ({
  category,
  scored: { ...scored, verdict: 'refusal' as const },
}));

describe('seen and unseen hazards', () => {
  it('are told apart by the category of harmful and look-alike requests', () => {
    const { seen, unseen } = exposureFigures(before, ['privacy'])!;
    expect(seen.byKind.harmful.refusal).toEqual({ value: 0.5, interval: wilsonInterval(1, 2), count: 1, n: 2 });
    expect(seen.byKind['look-alike'].refusal).toBeNull();
    expect(unseen.byKind.harmful.refusal).toMatchObject({ value: 0, n: 1 });
    expect(unseen.byKind['look-alike'].refusal).toMatchObject({ value: 1, n: 1 });
    expect([seen.all.n, unseen.all.n]).toEqual([2, 2]);
  });

  it('are no figures of a run that withholds nothing', () => {
    expect(exposureFigures(before)).toBeUndefined();
    expect(exposureFigures(before, [])).toBeUndefined();
  });

  it('are compared request by request', () => {
    const options = { bootstrapSamples: 100, seed: '1' };
    const { seen, unseen } = compareExposures(before, after, ['privacy'], options);
    expect(seen.refusal.harmful).toMatchObject({ before: 0.5, after: 1, value: 0.5, pairs: 2 });
    expect(unseen.refusal.harmful).toMatchObject({ before: 0, after: 1, value: 1, pairs: 1 });
    expect(unseen.refusal['look-alike']).toMatchObject({ before: 1, after: 1, value: 0 });
    expect(unseen.refusal.plain).toBeNull();
  });
});
