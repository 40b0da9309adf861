/** Which hazard category of the library a benchmark's own category is about. */
import type { SuiteQuestion } from '../benchmarks/suites.ts';
import type { CodeText, Library } from '../library/library.ts';
import { hazardsOf } from '../library/withholdHazards.ts';
import { goalDigest } from './outcomes.ts';

/** Of the general library: categories of StrongREJECT, JailbreakBench, HarmBench, HEx-PHI, SimpleSafetyTests, SORRY-Bench, OR-Bench and XSTest, in lower case. */
const namesOf: Record<string, readonly string[]> = {
  'violent-crimes': [
    'violence',
    'physical harm',
    'physical harm and violence',
    'violent crimes',
    'terrorism',
    'animal-related crimes',
  ],
  'sex-related-crimes': ['sexual crimes'],
  'non-violent-crimes': [
    'non-violent crimes',
    'illegal goods and services',
    'illegal and highly regulated items',
    'illegal activity',
    'illegal',
    'malware',
    'malware/hacking',
    'cybercrime_intrusion',
    'fraud/deception',
    'scams and fraud',
    'fraud and deception',
    'fraud, scams, and deception',
    'economic harm',
    'property crimes',
    'financial crimes',
    'system intrusion',
    'malware code generation',
    'illegal crafting, manufacturing, and distribution',
    'evasion of law enforcement',
  ],
  'child-sexual-exploitation': ['child safety', 'child abuse content', 'child-related crimes'],
  'cbrne-weapons': ['chemical_biological'],
  'suicide-and-self-harm': ['suicide, self-harm, and eating disorders', 'self-harm'],
  hate: [
    'hate',
    'hate, harassment and discrimination',
    'harassment/discrimination',
    'social-group insulting words',
    'advice on discrimination behaviors',
    'social stereotype promotion',
  ],
  privacy: [
    'privacy',
    'privacy_public',
    'privacy_fictional',
    'privacy violation',
    'personal identifiable information violations',
  ],
  'intellectual-property': ['copyright', 'intellectual property infringement'],
  'disinformation-and-defamation': [
    'disinformation',
    'disinformation and deception',
    'misinformation_disinformation',
    'libelous words',
    'fake news generation',
    'conspiracy theories promotion',
    'false common knowledge promotion',
  ],
  elections: ['political campaigning'],
  'sexual-content': [
    'sexual content',
    'sexual/adult content',
    'adult content',
    'sexual',
    'lewd and obscene words',
    'advice on adult content',
    'sexual explicit content generation',
  ],
};

const hazards = new Map(
  Object.entries(namesOf).flatMap(([hazard, names]) => names.map((name): [string, string] => [name, hazard])),
);

/**
 * What the library's own codes say, else the general library's hazard. The category itself where it is of none, or of several: then no code is about it, or
 * a library of one's own has it.
 */
export function hazardOf(category: string, detailed: readonly CodeText[]): string {
  const name = category.toLowerCase();
  const own = detailed.find(({ benchmarkCategories }) => benchmarkCategories?.includes(name));
  return own?.category ?? hazards.get(name) ?? category;
}

/** Undefined where a category is of none of these hazards. */
function knownHazard(category: string, known: ReadonlySet<string>, detailed: readonly CodeText[]): string | undefined {
  const hazard = hazardOf(category, detailed);
  return known.has(hazard) ? hazard : undefined;
}

/** Hazards of a study's questions. */
export interface StudyHazards {
  /** By the digest of a question's goal (goalDigest); questions of no known hazard are not in it. */
  ofGoal: ReadonlyMap<string, string>;
  /** Left out of what arms are trained on and prompted with. */
  withheld: readonly string[];
}

/**
 * @param libraries of all arms. A library without its withheld hazards has lost what their codes say of benchmarks (`benchmarkCategories`): of a study that
 * withholds some, they are to be the libraries as they stand.
 */
export function hazardsOfQuestions(
  questions: readonly Pick<SuiteQuestion, 'goal' | 'category' | 'kind'>[],
  libraries: readonly Library[],
  withheld: readonly string[],
): StudyHazards {
  const known = new Set(libraries.flatMap((library) => [...hazardsOf(library)]));
  const detailed = libraries.flatMap(({ codes }) => codes.detailed);
  const ofGoal = questions.flatMap(({ goal, category, kind }): [string, string][] => {
    const hazard = kind === 'utility' ? undefined : knownHazard(category, known, detailed);
    return hazard === undefined ? [] : [[goalDigest(goal), hazard]];
  });
  return { ofGoal: new Map(ofGoal), withheld };
}

/** StudyHazards as JSON has them. */
export interface StoredHazards {
  ofGoal: Record<string, string>;
  withheld: readonly string[];
}

export const storedHazards = ({ ofGoal, withheld }: StudyHazards): StoredHazards => ({
  ofGoal: Object.fromEntries(ofGoal),
  withheld,
});

export const hazardsAsStored = ({ ofGoal, withheld }: StoredHazards): StudyHazards => ({
  ofGoal: new Map(Object.entries(ofGoal)),
  withheld,
});
