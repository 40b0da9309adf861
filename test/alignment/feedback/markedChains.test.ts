import { expect, test } from 'vitest';
import {
  contradictsMark,
  desirableByMark,
  markedPairs,
  selectByMarks,
  verdictsByText,
  type MarkedChain,
} from '../../../alignment/feedback/markedChains.ts';

const promptOf = (requestId: string): number[] => [0, requestId.charCodeAt(0)];
const marked = (
  requestId: string,
  as: MarkedChain['as'],
  tokens: number[],
  chain = `1/${requestId}/0`,
): MarkedChain => ({
  ...{ run: 'demo-1', chain, requestId, as, tokens, promptTokens: promptOf(requestId), text: '' },
});
const candidate = (requestId: string, tokens: number[]) => ({ chain: { promptTokens: promptOf(requestId), tokens } });

test('a warm start loses what is marked bad, word for word and of that request alone, and gains what is marked right, once', () => {
  const filtered = [candidate('a', [1]), candidate('a', [2]), candidate('b', [1]), candidate('c', [9])];
  const all = [
    ...[marked('a', 'leak', [1]), marked('b', 'harmful', [2]), marked('c', 'wrong-refusal', [9])],
    // Kept already; not kept yet; the same once more, of another sample.
    ...[marked('a', 'right', [2]), marked('d', 'right', [5]), marked('d', 'right', [5], '2/d/1')],
  ];
  const { kept, added, leftOut } = selectByMarks(filtered, all);
  expect(kept).toEqual([candidate('a', [2]), candidate('b', [1])]);
  expect(added).toEqual([marked('d', 'right', [5])]);
  expect(leftOut).toBe(2);
});

test('an id that is another request in another library is not the marked one', () => {
  const verdict = verdictsByText([marked('a', 'leak', [1])]);
  const same = { requestId: 'a', tokens: [1] };
  expect(verdict({ ...same, promptTokens: promptOf('a') })).toBe('leak');
  expect(verdict({ ...same, promptTokens: [0, 7] })).toBeUndefined();
});

test('pairs: each right and each bad chain of a request in one at least, none across requests', () => {
  const [right, other] = [marked('a', 'right', [1], '1/a/0'), marked('a', 'right', [2], '1/a/1')];
  const bad = [
    marked('a', 'leak', [3], '1/a/2'),
    marked('a', 'harmful', [4], '1/a/3'),
    marked('a', 'leak', [5], '2/a/0'),
  ];
  const alone = [marked('b', 'right', [6]), marked('c', 'leak', [7])];
  expect(markedPairs([right, ...alone, ...bad, other])).toEqual([
    { chosen: right, rejected: bad[0] },
    { chosen: other, rejected: bad[1] },
    { chosen: right, rejected: bad[2] },
  ]);
});

test('pairs: an id of several libraries is a request of each; where a request is the same its chains meet', () => {
  const ofRun = (run: string, request: string, as: MarkedChain['as'], token: number): MarkedChain => ({
    ...marked('a', as, [token]),
    ...{ run, request },
  });
  const [lock, lockBad] = [ofRun('x', 'how to pick a lock', 'right', 1), ofRun('x', 'how to pick a lock', 'leak', 2)];
  const [pie, pieBad] = [
    ofRun('y', 'how to bake a pie', 'right', 3),
    ofRun('y', 'how to bake a pie', 'wrong-refusal', 4),
  ];
  const soupBad = ofRun('z', 'how to cook a soup', 'harmful', 5);
  const lockBadToo = ofRun('z', 'how to pick a lock', 'harmful', 6);
  expect(markedPairs([lock, pieBad, lockBad, pie, soupBad, lockBadToo])).toEqual([
    { chosen: lock, rejected: lockBad },
    { chosen: lock, rejected: lockBadToo },
    { chosen: pie, rejected: pieBad },
  ]);
});

test('what rewards prefer is left out where a mark says the contrary', () => {
  const verdict = verdictsByText([marked('a', 'right', [1]), marked('a', 'leak', [2])]);
  const [right, bad, unmarked] = [candidate('a', [1]).chain, candidate('a', [2]).chain, candidate('a', [3]).chain];
  expect(contradictsMark(verdict, right, bad)).toBe(false);
  expect(contradictsMark(verdict, bad, unmarked)).toBe(true);
  expect(contradictsMark(verdict, unmarked, right)).toBe(true);
  expect([right, bad, unmarked].map((chain) => desirableByMark(verdict, chain))).toEqual([true, false, undefined]);
});
