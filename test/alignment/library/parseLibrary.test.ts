import { describe, expect, it } from 'vitest';
import { parseLibrary } from '../../../alignment/library/parseLibrary.ts';
import { libraryFiles, makePair, makeRequest } from '../makeLibrary.ts';

const line = (value: object) => `${JSON.stringify(value)}\n`;

/** Parses the valid library with one file changed. */
function parseWith(path: string, change: (content: string) => string) {
  const files = libraryFiles();
  return parseLibrary({ ...files, [path]: change(files[path]!) });
}

describe('parseLibrary', () => {
  it('reads codes, cases, requests and judges', () => {
    const library = parseLibrary(libraryFiles());
    expect(library.codes.simple).toEqual({
      path: 'codes/simple.md',
      attributes: { title: 'Simple codes', version: 2 },
      text: 'Do no harm.',
    });
    expect(library.codes.instruction.text).toBe('Think, then answer.');
    expect(library.codes.detailed.map(({ path, category }) => [path, category])).toEqual([
      ['codes/detailed/tiers.md', undefined],
      ['codes/detailed/privacy.md', 'privacy'],
    ]);
    expect(library.cases.map(({ id }) => id)).toEqual(['p1-harmful', 'p1-harmless', 'p2-harmful', 'p2-harmless']);
    expect(library.requests.training.map(({ id, kind }) => [id, kind])).toEqual([
      ['t1', 'harmful'],
      ['t2', 'plain'],
      ['t3', 'look-alike'],
    ]);
    expect(library.judges).toEqual({ refusal: { version: 1 }, publishedPhrases: ['I cannot', 'Sorry'] });
  });

  it('reads benchmarks where there are any, and lets them share no request with training', () => {
    expect(parseLibrary(libraryFiles()).benchmarks).toEqual({});
    const withBenchmark = (row: object) => parseLibrary({ ...libraryFiles(), 'benchmarks/own.jsonl': line(row) });
    expect(withBenchmark(makeRequest('b1')).benchmarks['own']).toEqual([makeRequest('b1')]);
    expect(() => withBenchmark({ ...makeRequest('b1'), request: makeRequest('t1').request })).toThrow(
      'is in requests/training.jsonl:1 already',
    );
  });

  it('reads files with Windows line ends and blank lines', () => {
    const files = Object.fromEntries(
      Object.entries(libraryFiles()).map(([path, content]) => [path, content.replaceAll('\n', '\r\n') + '\r\n']),
    );
    expect(parseLibrary(files)).toEqual(parseLibrary(libraryFiles()));
  });

  it.each<[string, string, (content: string) => string, string]>([
    ['an empty request file', 'requests/heldOut.jsonl', () => '\n', 'library/requests/heldOut.jsonl: holds no requests'],
    [
      'a duplicate id, with both lines',
      'requests/training.jsonl',
      (content) => content + line(makeRequest('t1', 'plain')),
      'library/requests/training.jsonl:4: id "t1" is already that of line 1',
    ],
    [
      'a request that another split has under another id',
      'requests/heldOut.jsonl',
      (content) => content + line(makeRequest('h2', 'plain', 'privacy', 'request t2')),
      'library/requests/heldOut.jsonl:2: request "request t2" is in requests/training.jsonl:2 already',
    ],
    [
      'an id that another split has',
      'requests/development.jsonl',
      (content) => content + line(makeRequest('t2', 'plain', 'privacy', 'something else')),
      'library/requests/development.jsonl:2: id "t2" is in requests/training.jsonl:2 already',
    ],
    [
      'a missing field',
      'requests/training.jsonl',
      (content) => content + line({ ...makeRequest('t9'), request: undefined }),
      'library/requests/training.jsonl:4: field "request"',
    ],
    [
      'a blank field',
      'requests/training.jsonl',
      (content) => content + line({ ...makeRequest('t9'), request: '  ' }),
      'library/requests/training.jsonl:4: field "request": is empty',
    ],
    [
      'a kind that contradicts the label',
      'requests/training.jsonl',
      () => line({ ...makeRequest('t9'), kind: 'plain' }),
      'library/requests/training.jsonl:1: request "t9" is labelled harmful, but its kind is "plain"',
    ],
    [
      'a line that is not JSON',
      'cases/cases.jsonl',
      (content) => `${content}{"id": \n`,
      'library/cases/cases.jsonl:5: is not JSON',
    ],
    [
      'a verdict that contradicts the label',
      'cases/cases.jsonl',
      (content) => content.replace('"verdict":"comply"', '"verdict":"refuse"'),
      'library/cases/cases.jsonl:2: case "p1-harmless" is labelled harmless, but its verdict is "refuse"',
    ],
    [
      'a pair with one side only',
      'cases/cases.jsonl',
      (content) => content + line(makePair('p3', 'hate')[1]),
      'library/cases/cases.jsonl:5: pair "p3" has no harmful case',
    ],
    [
      'a pair with one side twice',
      'cases/cases.jsonl',
      (content) => content + line({ ...makePair('p2', 'hate')[0], id: 'x' }),
      'library/cases/cases.jsonl:5: a second harmful case of pair "p2" (the first is in line 3)',
    ],
    ['codes without text', 'codes/simple.md', () => '---\na: 1\n---\n', 'library/codes/simple.md: has no text'],
    ['front matter without end', 'codes/simple.md', () => '---\na: 1\n', 'library/codes/simple.md:1: the front matter'],
    ['front matter that is not YAML', 'codes/simple.md', () => '---\na: [\n---\nx', 'library/codes/simple.md: the front matter is not YAML'],
    ['a phrase list that is none', 'judges/published29.json', () => '{}', 'library/judges/published29.json: field "phrases"'],
  ])('rejects %s', (_what, path, change, message) => {
    expect(() => parseWith(path, change)).toThrow(message);
  });

  it('rejects a library without one of its files, by name', () => {
    const { 'requests/development.jsonl': _left, ...files } = libraryFiles();
    expect(() => parseLibrary(files)).toThrow('library/requests/development.jsonl: is missing');
  });
});
