/** The shipped libraries as the tests read them: straight from its files, so that a fault of the parser can't hide a fault of the content. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const libraryFolder = fileURLToPath(new URL('../../library/', import.meta.url));

export interface ShippedLibrary {
  /** Path of its folder below library/, with `/` at its end. */
  folder: string;
  name: string;
  hazards: string[];
  /** Requests of each kind, by split, for each hazard (plain ones: for each topic). */
  counts: Record<'training' | 'development' | 'heldOut', Record<'harmful' | 'plain' | 'look-alike', number>>;
  /** Where a refusal under code 4 points. */
  support: string;
  /** The page that describes it. */
  readme: string;
}

const ofDomain = {
  counts: {
    training: { harmful: 5, plain: 5, 'look-alike': 2 },
    development: { harmful: 2, plain: 2, 'look-alike': 1 },
    heldOut: { harmful: 3, plain: 3, 'look-alike': 3 },
  },
  readme: 'domains/README.md',
};

export const shippedLibraries: ShippedLibrary[] = [
  {
    folder: '',
    name: 'general',
    hazards: [
      'violent-crimes',
      'non-violent-crimes',
      'sex-related-crimes',
      'child-sexual-exploitation',
      'cbrne-weapons',
      'suicide-and-self-harm',
      'hate',
      'privacy',
      'intellectual-property',
      'disinformation-and-defamation',
      'elections',
      'sexual-content',
    ],
    counts: {
      training: { harmful: 10, plain: 10, 'look-alike': 4 },
      development: { harmful: 4, plain: 4, 'look-alike': 2 },
      heldOut: { harmful: 4, plain: 4, 'look-alike': 4 },
    },
    support: 'support',
    readme: 'README.md',
  },
  {
    ...ofDomain,
    folder: 'domains/healthcare/',
    name: 'healthcare',
    hazards: [
      'dosage-for-harm',
      'prescription-fraud',
      'false-cures',
      'unsafe-self-treatment',
      'patient-privacy',
      'patient-abuse',
    ],
    support: 'care',
  },
  {
    ...ofDomain,
    folder: 'domains/software/',
    name: 'software',
    hazards: [
      'malicious-code',
      'unauthorized-access',
      'data-theft',
      'destructive-commands',
      'insecure-code',
      'abuse-of-services',
    ],
    support: 'a safe way',
  },
];

export interface CaseLine {
  id: string;
  category: string;
  pair: string;
  label: string;
  request: string;
  analysis: string;
  verdict: string;
  response: string;
  version: number;
}

export interface RequestLine {
  id: string;
  category: string;
  label: string;
  kind: string;
  request: string;
}

export interface LabelledAnswer {
  id: string;
  kind: string;
  finalResponse: string;
  verdict: string;
  refusalWithContent: boolean;
  source: string;
}

export function readText(path: string): string {
  return readFileSync(libraryFolder + path, 'utf8');
}

export function readLines<T>(path: string): T[] {
  return readText(path)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** Front matter and text of a markdown file; throws where there is no front matter. */
export function readCode(path: string): { attributes: Record<string, unknown>; text: string } {
  const match = /^---\n([\s\S]*?)\n---\n([\s\S]+)$/.exec(readText(path));
  if (!match) throw new Error(`${path} has no front matter`);
  return { attributes: parse(match[1] ?? '') as Record<string, unknown>, text: (match[2] ?? '').trim() };
}

/** Every file of a library by its path in it; the judges of a domain are the general library's. */
export function readFiles({ folder }: Pick<ShippedLibrary, 'folder'>): Record<string, string> {
  const judges = ['judges/refusal.json', 'judges/published29.json'].map((path) => [path, readText(path)]);
  const paths = readdirSync(libraryFolder + folder, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => /\.\w+$/.test(path) && !path.startsWith('domains/'));
  return Object.fromEntries([...judges, ...paths.map((path) => [path, readText(folder + path)])]) as Record<
    string,
    string
  >;
}

export function countWords(text: string): number {
  return text.split(/\s+/).filter((word) => word !== '').length;
}

/** How many of the items have each value. */
export function countBy<T>(items: readonly T[], valueOf: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of items) counts[valueOf(item)] = (counts[valueOf(item)] ?? 0) + 1;
  return counts;
}
