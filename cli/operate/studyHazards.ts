/** Hazards of a study that withholds some, told by its libraries before anything is left out: the codes of a withheld hazard say which questions are about it. */
import type { SuiteQuestion } from '../../alignment/benchmarks/suites.ts';
import type { Library } from '../../alignment/library/library.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { hazardsOfQuestions, type StudyHazards } from '../../alignment/study/hazards.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { librariesOf, withheldBy, type ReadStudy } from './compareFile.ts';
import { readLibraryFiles, type LibraryPlace } from './libraryFiles.ts';

/** @returns undefined where nothing is withheld: then the libraries of its units are whole, and tell as much. */
export async function studyHazards(
  read: ReadStudy,
  questions: readonly SuiteQuestion[],
): Promise<StudyHazards | undefined> {
  const withheld = withheldBy(read);
  return withheld.length === 0 ? undefined : hazardsOfQuestions(questions, await wholeLibraries(read), withheld);
}

/** The libraries of its arms as they stand, each once. */
export async function wholeLibraries(read: ReadStudy): Promise<Library[]> {
  const libraries: Library[] = [];
  for (const place of libraryPlaces(read)) libraries.push(parseLibrary(await readLibraryFiles(place)));
  return libraries;
}

export function libraryPlaces(read: ReadStudy): LibraryPlace[] {
  const places = librariesOf(read).map(({ withhold: _withhold, ...place }) => place);
  return [...new Map(places.map((place) => [canonicalJson(place).toString(), place])).values()];
}
