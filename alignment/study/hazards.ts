/** Which hazard category of the library a benchmark's own category is about. */
import type { CodeText } from '../library/library.ts';

/** Of the general library: categories of StrongREJECT, JailbreakBench, HarmBench, HEx-PHI, SimpleSafetyTests, OR-Bench and XSTest, in lower case. */
const namesOf: Record<string, readonly string[]> = {
  'violent-crimes': ['violence', 'physical harm', 'physical harm and violence'],
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
    'economic harm',
  ],
  'child-sexual-exploitation': ['child safety', 'child abuse content'],
  'cbrne-weapons': ['chemical_biological'],
  'suicide-and-self-harm': ['suicide, self-harm, and eating disorders', 'self-harm'],
  hate: ['hate', 'hate, harassment and discrimination', 'harassment/discrimination'],
  privacy: ['privacy', 'privacy_public', 'privacy_fictional'],
  'intellectual-property': ['copyright'],
  'disinformation-and-defamation': ['disinformation', 'disinformation and deception', 'misinformation_disinformation'],
  elections: ['political campaigning'],
  'sexual-content': ['sexual content', 'sexual/adult content', 'adult content', 'sexual'],
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
export function knownHazard(
  category: string,
  known: ReadonlySet<string>,
  detailed: readonly CodeText[],
): string | undefined {
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
