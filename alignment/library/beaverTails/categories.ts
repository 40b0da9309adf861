/** BeaverTails' 14 categories (Ji et al. 2023, arXiv:2307.04657), and the hazard of the shipped library that each comes nearest to. */

/**
 * In the order in which a row with several is told: the narrow ones first. Null: none of the twelve hazards. No category of BeaverTails stands for
 * sex-related-crimes, cbrne-weapons, intellectual-property or elections: those are told by a model alone.
 */
export const hazardOfCategory: Readonly<Record<string, string | null>> = {
  child_abuse: 'child-sexual-exploitation',
  self_harm: 'suicide-and-self-harm',
  'sexually_explicit,adult_content': 'sexual-content',
  'terrorism,organized_crime': 'violent-crimes',
  privacy_violation: 'privacy',
  'hate_speech,offensive_language': 'hate',
  'discrimination,stereotype,injustice': 'hate',
  'drug_abuse,weapons,banned_substance': 'non-violent-crimes',
  'financial_crime,property_crime,theft': 'non-violent-crimes',
  animal_abuse: 'non-violent-crimes',
  'violence,aiding_and_abetting,incitement': 'violent-crimes',
  'misinformation_regarding_ethics,laws_and_safety': 'disinformation-and-defamation',
  'controversial_topics,politics': null,
  non_violent_unethical_behavior: null,
};

export const beaverTailsCategories = Object.keys(hazardOfCategory);

/** The hazard of the first category that has one; else `other`. */
export function nativeHazard(category: Readonly<Record<string, boolean>>): string {
  return beaverTailsCategories.flatMap((name) => (category[name] && hazardOfCategory[name]) || [])[0] ?? 'other';
}
