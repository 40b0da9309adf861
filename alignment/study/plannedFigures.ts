/** Which figures a study will have, known from its questions before any is answered. */
import type { StudyHazards } from './hazards.ts';
import type { SuiteQuestion } from '../benchmarks/suites.ts';
import { resolveAttacks } from '../configuration/attacks.ts';
import { notCompared, studyMeasures } from './measures.ts';
import { goalDigest, type StudyOutcome } from './outcomes.ts';
import type { Study } from './studySchema.ts';

/** Ids of the measures in which its arms are compared. `questions`: with those under attacks that are templates. */
export function comparedFigures(
  study: Pick<Study, 'attacks' | 'attackSettings' | 'refusalBy' | 'judge' | 'guard' | 'leaks'>,
  questions: readonly SuiteQuestion[],
  /** Of a study that withholds some; absent = it withholds none. */
  hazards?: StudyHazards,
): string[] {
  const { refusalBy, judge, guard, leaks } = study;
  const attacks = attacksOf(study);
  const outcomes = questions.flatMap(({ id, suite, kind, goal, attack }): StudyOutcome[] => {
    const unknown = { id, suite, kind, goal: goalDigest(goal), format: true, cut: false, tokens: 0 };
    // Searched attacks are made later, of every harmful question.
    const later = kind === 'harmful' && attack === undefined ? attacks : [];
    return [attack ?? null, ...later].map((one) => ({
      ...unknown,
      attack: one,
      ...(kind === 'utility' ? { missing: null } : {}),
      ...(leaks && kind === 'harmful' ? { leak: null } : {}),
      ...(guard && kind !== 'utility' ? { harmByGuard: null } : {}),
    }));
  });
  const settings = {
    refusalBy,
    ...(judge ? { rubricJudge: judge.model } : {}),
    ...(guard ? { guardJudge: guard.source } : {}),
    ...(hazards ? { hazards } : {}),
  };
  return studyMeasures(outcomes, settings)
    .map(({ id }) => id)
    .filter((id) => id !== notCompared);
}

/** As outcomes name them: each technique of persuasion is an attack by itself. */
function attacksOf({ attacks, attackSettings = {} }: Pick<Study, 'attacks' | 'attackSettings'>): string[] {
  const { techniques } = resolveAttacks(attackSettings).pap;
  return attacks.flatMap((attack) => (attack === 'pap' ? techniques.map((technique) => `pap-${technique}`) : [attack]));
}
