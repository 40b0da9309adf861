import { describe, expect, it } from 'vitest';
import { parseLibrary } from '../../../alignment/library/parseLibrary.ts';
import { libraryFiles, makeRequest } from '../makeLibrary.ts';

const line = (value: object) => `${JSON.stringify(value)}\n`;

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

  it('reads what benchmarks call the hazard of a code, and says nothing where nothing is said', () => {
    const privacy = 'codes/detailed/privacy.md';
    const named = '---\ncategory: privacy\nbenchmarkCategories: [Privacy/Leaks, spying]\n---\nPrivacy.';
    const codeOf = (files: Record<string, string>) =>
      parseLibrary(files).codes.detailed.find(({ path }) => path === privacy)!;
    expect(codeOf({ ...libraryFiles(), [privacy]: named }).benchmarkCategories).toEqual(['privacy/leaks', 'spying']);
    // Digests of codes without it are what they were.
    expect(codeOf(libraryFiles())).not.toHaveProperty('benchmarkCategories');
  });

  it('rejects a library without one of its files, by name', () => {
    const { 'requests/development.jsonl': _left, ...files } = libraryFiles();
    expect(() => parseLibrary(files)).toThrow('library/requests/development.jsonl: is missing');
  });
});
