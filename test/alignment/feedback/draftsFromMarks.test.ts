import { expect, test } from 'vitest';
import { draftsFromMarks, type MarkedText } from '../../../alignment/feedback/draftsFromMarks.ts';
import { parseLibrary } from '../../../alignment/library/parseLibrary.ts';
import type { RequestKind } from '../../../alignment/library/library.ts';
import { libraryFiles, makeRequest } from '../makeLibrary.ts';

const format = { analysisHeading: '### Analysis', responseHeading: '### Final Response' };
const library = parseLibrary(libraryFiles());
const marked = (
  id: string,
  kind: RequestKind,
  as: MarkedText['as'],
  {
    sampleIndex = 0,
    verdict = null,
    text = `### Analysis\nThoughts ${id}.\n\n### Final Response\nAnswer ${id}.`,
  } = {} as Partial<MarkedText['scored'] & { text: string }>,
): MarkedText => ({ as, request: makeRequest(id, kind), text, scored: { sampleIndex, verdict } });

test('a chain marked right becomes a draft of its two parts, the first in its form', () => {
  const { drafts, requests } = draftsFromMarks(
    [
      marked('a', 'harmful', 'right', { text: 'No parts.' }),
      marked('a', 'harmful', 'right', { sampleIndex: 2, verdict: 'refusal' }),
      marked('a', 'harmful', 'leak', { sampleIndex: 3 }),
      marked('b', 'plain', 'right'),
    ],
    library,
    format,
  );
  const shared = { category: 'privacy' };
  expect(drafts).toEqual([
    {
      ...shared,
      id: 'a',
      kind: 'harmful',
      request: 'request a',
      analysis: 'Thoughts a.',
      response: 'Answer a.',
      verdict: 'refuse',
      sample: 2,
    },
    {
      ...shared,
      id: 'b',
      kind: 'plain',
      request: 'request b',
      analysis: 'Thoughts b.',
      response: 'Answer b.',
      verdict: 'comply',
      sample: 0,
    },
  ]);
  expect(requests).toEqual([]);
});

test('requests without a right chain are to be drafted, under the label that the marks correct', () => {
  const { drafts, requests } = draftsFromMarks(
    [
      marked('a', 'harmful', 'wrong-refusal'),
      marked('b', 'look-alike', 'wrong-refusal'),
      marked('c', 'plain', 'harmful'),
      marked('d', 'harmful', 'leak'),
      // What was right for a harmful request is wrong for a harmless one.
      marked('e', 'harmful', 'right', { verdict: 'refusal' }),
      marked('e', 'harmful', 'wrong-refusal', { sampleIndex: 1 }),
    ],
    library,
    format,
  );
  expect(drafts).toEqual([]);
  expect(requests.map(({ id, kind, label }) => [id, kind, label])).toEqual([
    ['a', 'look-alike', 'harmless'],
    ['b', 'look-alike', 'harmless'],
    ['c', 'harmful', 'harmful'],
    ['d', 'harmful', 'harmful'],
    ['e', 'look-alike', 'harmless'],
  ]);
});

test('what is evaluated on, is a case already, or is marked both ways is left out and named', () => {
  const { drafts, requests, skipped } = draftsFromMarks(
    [
      { ...marked('x', 'harmful', 'right'), request: makeRequest('x', 'harmful', 'privacy', 'request h1') },
      { ...marked('y', 'harmful', 'leak'), request: makeRequest('y', 'harmful', 'privacy', 'harmful wish p1') },
      marked('z', 'plain', 'wrong-refusal'),
      marked('z', 'plain', 'harmful', { sampleIndex: 1 }),
    ],
    library,
    format,
  );
  expect([drafts, requests]).toEqual([[], []]);
  expect(skipped.map(({ id, why }) => [id, why.split(':')[0]])).toEqual([
    ['x', 'it is evaluated on'],
    ['y', 'the library has it as case "p1-harmful"'],
    ['z', 'its marks contradict each other'],
  ]);
});
