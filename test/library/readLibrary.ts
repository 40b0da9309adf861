/** The shipped library as the tests read it: straight from its files, so that a fault of the parser can't hide a fault of the content. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const libraryFolder = fileURLToPath(new URL('../../library/', import.meta.url));

export const hazardCategories = [
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

/** Every file of the library by its path in it. */
export function readFiles(): Record<string, string> {
  const paths = readdirSync(libraryFolder, { recursive: true, encoding: 'utf8' }).filter((path) => /\.\w+$/.test(path));
  return Object.fromEntries(paths.map((path) => [path.replaceAll('\\', '/'), readText(path)]));
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
