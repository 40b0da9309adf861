/** Reads the library's files into one checked value, before any work is done with them. */
import { z } from 'zod';
import { requestKinds, requestSplits } from './library.ts';
import type { Case, CodeText, Library, RequestSplit, SafetyRequest } from './library.ts';
import { LibraryError } from './libraryError.ts';
import { parseCodeText } from './parseCodeText.ts';
import { describeIssues, parseLines } from './parseLines.ts';
import type { ParsedLine } from './parseLines.ts';

/**
 * Parses the library.
 * @param files text of every file by its path relative to the library's folder (`cases/cases.jsonl`); other files (READMEs) are passed over.
 * @throws LibraryError naming file, line, what is wrong and what to do: a missing or empty file, a missing field, an id used twice, a verdict that
 * contradicts its label, a contrast pair without its other side, a request in two splits.
 */
export function parseLibrary(files: Readonly<Record<string, string>>): Library {
  const contentOf = (file: string) => {
    const content = files[file];
    if (content === undefined) {
      throw new LibraryError({ file }, 'is missing', 'Add it, or leave library.path out to use the library that ships with CADA.');
    }
    return content;
  };
  const detailedPaths = Object.keys(files)
    .filter((path) => path.startsWith('codes/detailed/') && path.endsWith('.md') && !path.endsWith('/README.md'))
    .sort();
  return {
    codes: {
      simple: parseCodeText('codes/simple.md', contentOf('codes/simple.md')),
      instruction: parseCodeText('codes/instruction.md', contentOf('codes/instruction.md')),
      detailed: generalFirst(detailedPaths.map((path) => parseCodeText(path, contentOf(path)))),
    },
    cases: parseCases('cases/cases.jsonl', contentOf('cases/cases.jsonl')),
    ...parseRequests((split) => contentOf(requestFile(split)), benchmarkFiles(files)),
    judges: {
      refusal: parseJson('judges/refusal.json', contentOf('judges/refusal.json')),
      publishedPhrases: parsePhrases('judges/published29.json', contentOf('judges/published29.json')),
    },
  };
}

/** The tiers for every request before those about one category: a prompt reads from the general to the special, and shares its beginning. */
function generalFirst(codes: CodeText[]): CodeText[] {
  const isGeneral = (code: CodeText) => code.category === undefined;
  return [...codes.filter(isGeneral), ...codes.filter((code) => !isGeneral(code))];
}

/** Paths of the benchmarks' requests, by name. */
function benchmarkFiles(files: Readonly<Record<string, string>>): { name: string; file: string; content: string }[] {
  return Object.keys(files)
    .sort()
    .flatMap((file) => {
      const name = /^benchmarks\/([^/]+)\.jsonl$/.exec(file)?.[1];
      return name === undefined ? [] : [{ name, file, content: files[file]! }];
    });
}

/** Path of a split's requests within the library. */
export function requestFile(split: RequestSplit): string {
  return `requests/${split}.jsonl`;
}

const text = z.string().trim().min(1, 'is empty');
const label = z.enum(['harmful', 'harmless']);

const caseSchema = z.object({
  id: text,
  category: text,
  pair: text,
  label,
  request: text,
  analysis: text,
  verdict: z.enum(['refuse', 'comply']),
  response: text,
  version: z.int().min(1),
});

export const requestSchema = z.object({
  ...{ id: text, category: text, label, kind: z.enum(requestKinds), request: text },
  repeatOf: text.optional(),
});

function parseCases(file: string, content: string): Case[] {
  const lines = parseLines(file, content, caseSchema);
  const sides = new Map<string, ParsedLine<Case>>();
  for (const line of lines) {
    const { value: one, place } = line;
    if ((one.label === 'harmful') !== (one.verdict === 'refuse')) {
      throw new LibraryError(
        place,
        `case "${one.id}" is labelled ${one.label}, but its verdict is "${one.verdict}"`,
        'A harmful request is refused, a harmless one complied with.',
      );
    }
    const side = `${one.label} case of pair "${one.pair}"`;
    const earlier = sides.get(side);
    if (earlier) {
      throw new LibraryError(place, `a second ${side} (the first is in line ${earlier.place.line})`, 'A pair has one case of each label.');
    }
    sides.set(side, line);
  }
  for (const { value: one, place } of lines) {
    const other = one.label === 'harmful' ? 'harmless' : 'harmful';
    if (!sides.has(`${other} case of pair "${one.pair}"`)) {
      throw new LibraryError(place, `pair "${one.pair}" has no ${other} case`, 'Add it: cases come as contrast pairs.');
    }
  }
  return lines.map(({ value }) => value);
}

function parseRequests(
  contentOf: (split: RequestSplit) => string,
  benchmarks: readonly { name: string; file: string; content: string }[],
): Pick<Library, 'requests' | 'benchmarks'> {
  const firstPlace = new Map<string, string>();
  const parseFile = (file: string, content: string): SafetyRequest[] => {
    const lines = parseLines(file, content, requestSchema);
    if (lines.length === 0) {
      throw new LibraryError({ file }, 'holds no requests', 'Write one JSON object a line.');
    }
    for (const { value: request, place } of lines) {
      if ((request.label === 'harmful') !== (request.kind === 'harmful')) {
        throw new LibraryError(
          place,
          `request "${request.id}" is labelled ${request.label}, but its kind is "${request.kind}"`,
          'The kind of a harmful request is "harmful", that of a harmless one "plain" or "look-alike".',
        );
      }
      const { repeatOf } = request;
      if (repeatOf !== undefined && lines.find(({ value }) => value.id === repeatOf && value.repeatOf === undefined)?.value.request !== request.request) {
        throw new LibraryError(place, `repeats "${repeatOf}", but the file has no such request with the same text`, 'Mend repeatOf, or leave it out.');
      }
      const once = repeatOf === undefined ? [`request "${request.request}"`] : [];
      for (const key of [`id "${request.id}"`, ...once]) {
        const earlier = firstPlace.get(key);
        if (earlier !== undefined) {
          throw new LibraryError(place, `${key} is in ${earlier} already`, 'Training and evaluation must not share requests: take it out of one of them (library.decontaminate leaves out what a benchmark has).');
        }
        firstPlace.set(key, `${place.file}:${place.line}`);
      }
    }
    return lines.map(({ value }) => value);
  };
  const [training, development, heldOut] = requestSplits.map((split) => parseFile(requestFile(split), contentOf(split))) as [
    SafetyRequest[],
    SafetyRequest[],
    SafetyRequest[],
  ];
  return {
    requests: { training, development, heldOut },
    benchmarks: Object.fromEntries(benchmarks.map(({ name, file, content }) => [name, parseFile(file, content)])),
  };
}

function parsePhrases(file: string, content: string): string[] {
  const result = z.object({ phrases: z.array(z.string().min(1)).min(1) }).safeParse(parseJson(file, content));
  if (!result.success) {
    throw new LibraryError({ file }, describeIssues(result.error), 'Write { "phrases": [ ... ] }.');
  }
  return result.data.phrases;
}

function parseJson(file: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new LibraryError({ file }, `is not JSON (${(error as Error).message})`, 'Correct it.');
  }
}
