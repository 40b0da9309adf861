import { expect, test } from 'vitest';
import { chainName, parseChainName } from '../../../alignment/feedback/chainName.ts';
import {
  checkMarkWords,
  countMarks,
  currentMarks,
  markIdentity,
  parseMarkLines,
  type Mark,
} from '../../../alignment/feedback/marks.ts';

const now = new Date('2030-01-31T12:00:00Z');
const mark = (number: number, chain: string, as: Mark['as'], at: string): Mark => ({
  ...{ number, chain, as, at, by: 'ann', textSha256: 'ab' },
});

test('the latest mark of a chain counts, by time and not by number; `none` takes it back', () => {
  const marks = [
    mark(1, 'after/a/0', 'harmful', '2030-01-03T00:00:00Z'),
    mark(2, 'after/a/0', 'right', '2030-01-02T00:00:00Z'),
    mark(3, '1/b/0', 'leak', '2030-01-02T00:00:00Z'),
    mark(4, '1/b/0', 'none', '2030-01-02T00:00:01Z'),
    // Other ways to write times: what counts is the moment.
    mark(5, '1/c/1', 'leak', '2030-01-02T00:00:00.500Z'),
    mark(6, '1/c/1', 'right', '2030-01-02T00:00:00Z'),
    // The same moment: the one stored last.
    mark(7, '0/d/0', 'leak', '2030-01-02T00:00:00Z'),
    mark(8, '0/d/0', 'wrong-refusal', '2030-01-02T00:00:00Z'),
  ];
  const current = currentMarks(marks);
  expect(current.map(({ chain, as }) => [chain, as])).toEqual([
    ['0/d/0', 'wrong-refusal'],
    ['1/c/1', 'leak'],
    ['after/a/0', 'harmful'],
  ]);
  expect(countMarks(current)).toEqual({ 'wrong-refusal': 1, harmful: 1, leak: 1 });
});

test('names of chains are read as they are written', () => {
  const names = [
    { set: 'before', requestId: 'a', sample: 0 },
    { set: 'warmStart', requestId: 'a/b', sample: 12 },
    { set: { iteration: 3 }, requestId: 'a', sample: 1 },
    { set: { iteration: 3, epoch: 2 }, requestId: '7', sample: 1 },
  ] as const;
  expect(names.map(chainName)).toEqual(['before/a/0', 'warmStart/a/b/12', '3/a/1', '3.2/7/1']);
  for (const name of names) expect(parseChainName(chainName(name))).toEqual(name);
  for (const text of ['after/a', 'later/a/0', '/a/0', '1.2.3/a/0', '-1/a/0', 'after/a/x', ''])
    expect(parseChainName(text)).toBeUndefined();
});

test('a file of marks keeps what it says; a run that has no time takes that of the import', () => {
  const line = {
    run: 'demo-1',
    chain: '2/r/0',
    as: 'leak',
    by: 'ann',
    at: '2030-01-31T11:00:00Z',
    note: 'names a dose',
  };
  const text = `${JSON.stringify(line)}\r\n\n${JSON.stringify({ ...line, at: undefined, note: undefined })}\n`;
  expect(parseMarkLines(text, now)).toEqual([line, { run: 'demo-1', chain: '2/r/0', as: 'leak', by: 'ann' }]);
});

test('a mark is of somebody with a name, by the one rule for names', () => {
  expect(() => checkMarkWords({ by: 'Ann Öz' })).not.toThrow();
  expect(() => checkMarkWords({ by: 'x'.repeat(101) })).toThrow('"by" must be a name of 1 to 100 characters');
  expect(() => checkMarkWords({ by: 'ann\u202e' })).toThrow('"by" must be a name on one line');
  const line = (by: string) => JSON.stringify({ run: 'demo-1', chain: '2/r/0', as: 'leak', by });
  expect(parseMarkLines(line(' Ann Öz '), new Date())[0]!.by).toBe('Ann Öz');
  expect(() => parseMarkLines(line('a\nb'), new Date())).toThrow('line 1: field "by": must be a name on one line');
});

test('a mark that says the same is the same: an empty note is none, another note is another mark', () => {
  const { chain, as, by, at } = mark(1, '1/b/0', 'leak', '2030-01-02T00:00:00Z');
  const identity = markIdentity({ chain, as, by, at });
  expect(markIdentity({ chain, as, by, at, note: '' })).toBe(identity);
  expect(markIdentity({ chain, as, by, at, note: ' \n' })).toBe(identity);
  expect(markIdentity({ ...mark(7, '1/b/0', 'leak', '2030-01-02T00:00:00Z') })).toBe(identity);
  for (const other of [{ note: 'why' }, { by: 'bob' }, { as: 'right' as const }, { at: '2030-01-02T00:00:01Z' }])
    expect(markIdentity({ chain, as, by, at, ...other })).not.toBe(identity);
});
