/**
 * Leave-category-out: a library without some of its hazards, so that what a policy does about a hazard that it was never shown can be told from what it does about the
 * ones it knows.
 */
import type { Library } from './library.ts';
import { parseCodeText } from './parseCodeText.ts';
import { parseLibrary } from './parseLibrary.ts';
import { keepLines, requireSome, shownFiles } from './thinnedFiles.ts';

/** Hazard categories: of harmful requests, of cases, and of codes about one category. Topics of plain requests are none. */
export function hazardsOf({ codes, cases, requests }: Library): Set<string> {
  const harmful = Object.values(requests).flatMap((split) => split.filter(({ kind }) => kind === 'harmful'));
  return new Set([
    ...[...cases, ...harmful].map(({ category }) => category),
    ...[codes.simple, ...codes.detailed].flatMap(({ category }) => category ?? []),
  ]);
}

/**
 * The files of a library without the codes, cases, training and development requests of `hazards`. Codes that hold for every request stay, the simple ones among them.
 *
 * @throws LibraryError for what is wrong with the library as it stands; Error for a hazard that is none of its, and where nothing would be left to train on.
 */
export function withholdHazards(
  files: Readonly<Record<string, string>>,
  hazards: readonly string[],
): Record<string, string> {
  if (hazards.length === 0) return { ...files };
  const withheld = new Set(hazards);
  requireKnown(withheld, parseLibrary(files));
  const kept = Object.entries(files).flatMap(([path, content]): [string, string][] => {
    if (isShown(path))
      return [[path, keepLines(content, (row) => !withheld.has((row as { category: string }).category))]];
    const isDetailed = path.startsWith('codes/detailed/') && path.endsWith('.md');
    return isDetailed && withheld.has(parseCodeText(path, content).category ?? '') ? [] : [[path, content]];
  });
  const left = Object.fromEntries(kept);
  for (const path of shownFiles) requireSome(path, left[path]!, files[path]!, 'withhold fewer hazards');
  return left;
}

const isShown = (path: string): boolean => shownFiles.some((shown) => shown === path);

function requireKnown(withheld: ReadonlySet<string>, library: Library): void {
  const known = hazardsOf(library);
  const unknown = [...withheld].find((hazard) => !known.has(hazard));
  if (unknown !== undefined)
    throw new Error(`"${unknown}" is no hazard of the library: it has ${[...known].sort().join(', ')}`);
  if (library.codes.simple.category !== undefined && withheld.has(library.codes.simple.category))
    throw new Error(
      `the simple codes are about "${library.codes.simple.category}": they are needed, so this can't be withheld`,
    );
  const trained = new Set(
    library.requests.training.filter(({ kind }) => kind === 'harmful').map(({ category }) => category),
  );
  if ([...trained].every((hazard) => withheld.has(hazard)))
    throw new Error('no harmful training request is left: withhold fewer hazards');
}
