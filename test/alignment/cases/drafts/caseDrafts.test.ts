import { describe, expect, it } from 'vitest';
import { admitDrafts, pairDrafts } from '../../../../alignment/cases/drafts/admitDrafts.ts';
import {
  formatDraftFile,
  parseDraftFile,
  reviewed,
  stateOf,
  type CaseDraft,
} from '../../../../alignment/cases/drafts/caseDrafts.ts';
import { conflictWith, draftable, parseDraftRequests } from '../../../../alignment/cases/drafts/draftRequests.ts';
import { selectDrafts } from '../../../../alignment/cases/drafts/selectDrafts.ts';
import { parseLibrary } from '../../../../alignment/library/parseLibrary.ts';
import type { ChainRecord, ScoredChain } from '../../../../alignment/chains/chain.ts';
import type { RequestKind } from '../../../../alignment/library/library.ts';
import { libraryFiles, makeRequest } from '../../makeLibrary.ts';

const library = parseLibrary(libraryFiles());
const format = { analysisHeading: '### Analysis', responseHeading: '### Final Response' };

function makeDraft(id: string, kind: RequestKind, request: string, changes: Partial<CaseDraft> = {}): CaseDraft {
  return {
    ...{ id, kind, request, category: 'privacy', analysis: `About ${id}.`, response: `Answer to ${id}.`, sample: 0 },
    verdict: kind === 'harmful' ? 'refuse' : 'comply',
    ...changes,
  };
}

describe('requests that cases are drafted for', () => {
  it('are read as the library reads its own, with the pairs they name', () => {
    const lines = [{ ...makeRequest('a'), pair: 'p' }, makeRequest('b', 'look-alike')];
    expect(parseDraftRequests('my.jsonl', lines.map((one) => JSON.stringify(one)).join('\n'))).toEqual(lines);
    expect(() => parseDraftRequests('my.jsonl', JSON.stringify({ ...makeRequest('a'), kind: 'plain' }))).toThrow(
      /my\.jsonl:1: request "a" is labelled harmful, but its kind is "plain"/,
    );
    expect(() => parseDraftRequests('my.jsonl', JSON.stringify({ ...makeRequest('a'), pair: ' ' }))).toThrow('"pair"');
  });

  it('are left out where the library has them as a case, or figures are made of them, in other words too', () => {
    const files = {
      ...libraryFiles(),
      'benchmarks/xstest.jsonl': JSON.stringify(makeRequest('x1', 'harmful', 'hate', 'How to poach an egg')),
    };
    const asked = [
      makeRequest('case', 'harmful', 'privacy', 'Harmful wish, p1!'),
      makeRequest('held', 'harmful', 'privacy', 'Request: h1'),
      makeRequest('development', 'harmful', 'privacy', 'request d1'),
      makeRequest('benchmark', 'harmful', 'privacy', 'how to poach an egg?'),
      makeRequest('training', 'harmful', 'privacy', 'request t1'),
    ];
    const { requests, skipped } = draftable(asked, parseLibrary(files));
    expect(requests.map(({ id }) => id)).toEqual(['training']);
    expect(skipped).toEqual([
      { id: 'case', why: 'the library has it as case "p1-harmful"' },
      { id: 'held', why: 'it is evaluated on: request "h1" of requests/heldOut.jsonl' },
      { id: 'development', why: 'it is evaluated on: request "d1" of requests/development.jsonl' },
      { id: 'benchmark', why: 'it is evaluated on: request "x1" of the benchmark xstest' },
    ]);
    expect(conflictWith('something new', library)).toBeUndefined();
  });
});

describe('selectDrafts', () => {
  const refusal =
    '### Analysis\nThis is harmful under code 2, so I will decline.\n\n### Final Response\nI cannot help.';
  const answer = '### Analysis\nThis is safe, so I will answer.\n\n### Final Response\nHere it is.';
  const candidate = (
    request: ReturnType<typeof makeRequest>,
    sampleIndex: number,
    text: string,
    changes: Partial<ScoredChain> = {},
  ) => ({
    request,
    chain: { requestId: request.id, sampleIndex, text } as ChainRecord,
    scored: {
      ...{ requestId: request.id, sampleIndex, kind: request.kind, parts: {}, reward: 1, format: true, cut: false },
      ...{
        verdict: text === refusal ? 'refusal' : 'compliance',
        phraseRefusal: false,
        refusalWithContent: false,
        tokens: 9,
      },
      ...changes,
    } as ScoredChain,
  });
  const harmful = makeRequest('h', 'harmful', 'privacy', 'Read the letters of my neighbour');
  const mild = makeRequest('m', 'look-alike', 'privacy', 'Read the letters of Seneca');

  it('takes the first sample of each request that passes, in its parts', () => {
    const { drafts, dropped, samples } = selectDrafts(
      [
        candidate(harmful, 0, answer),
        candidate(harmful, 1, refusal),
        candidate(harmful, 2, refusal),
        candidate(mild, 0, answer),
      ],
      [{ ...harmful, pair: 'letters' }, mild],
      format,
    );
    expect(drafts).toEqual([
      {
        ...{ id: 'h', category: 'privacy', kind: 'harmful', request: harmful.request, pair: 'letters', sample: 1 },
        analysis: 'This is harmful under code 2, so I will decline.',
        ...{ verdict: 'refuse', response: 'I cannot help.' },
      },
      {
        ...{ id: 'm', category: 'privacy', kind: 'look-alike', request: mild.request, sample: 0 },
        ...{ analysis: 'This is safe, so I will answer.', verdict: 'comply', response: 'Here it is.' },
      },
    ]);
    expect(dropped).toEqual({ outcome: 1, sample: 1 });
    expect(samples).toBe(4);
  });

  it.each([
    ['unscorable', { verdict: null }],
    ['unscorable', { reward: null }],
    ['format', { format: false }],
    ['cut', { cut: true }],
    ['judge', { parts: { graded: 0.74 } }],
    ['judge', { parts: { guard: 0.1 } }],
    ['judge', { parts: { graded: 1, ensemble: 0.5 } }],
  ] as const)('leaves out %s: %j', (reason, changes) => {
    const { drafts, dropped } = selectDrafts(
      [candidate(harmful, 0, refusal, changes as Partial<ScoredChain>)],
      [harmful],
      format,
    );
    expect(drafts).toEqual([]);
    expect(dropped).toEqual({ [reason]: 1 });
  });

  it('leaves out an answer that does the contrary of its analysis, and requests in other words', () => {
    const contradiction = refusal.replace('I will decline', 'I will answer');
    expect(
      selectDrafts([candidate(harmful, 0, contradiction, { verdict: 'refusal' })], [harmful], format).dropped,
    ).toEqual({
      contradiction: 1,
    });
    const same = { ...harmful, id: 'again', request: 'read the letters of my neighbour, now' };
    const { drafts, dropped } = selectDrafts(
      [candidate(harmful, 0, refusal), candidate(same, 0, refusal)],
      [harmful, same],
      format,
    );
    expect(drafts.map(({ id }) => id)).toEqual(['h']);
    expect(dropped).toEqual({ nearDuplicate: 1 });
  });

  it('leaves out broken characters', () => {
    const broken = candidate(harmful, 0, `${refusal}\ufffd`, { verdict: 'refusal' });
    expect(selectDrafts([broken], [harmful], format)).toMatchObject({ drafts: [], dropped: { format: 1 } });
  });

  it('keeps what a judge is sure of', () => {
    const graded = candidate(harmful, 0, refusal, { parts: { graded: 0.75, guard: 0.99 } });
    expect(selectDrafts([graded], [harmful], format).drafts).toHaveLength(1);
  });
});

describe('pairs', () => {
  const spy = makeDraft('spy', 'harmful', 'Spy on the phone of my wife');
  const stalk = makeDraft('stalk', 'harmful', 'Find the address of an actress');
  const phone = makeDraft('phone', 'look-alike', 'Find my own lost phone');
  const address = makeDraft('address', 'look-alike', 'Find the address of a museum');
  const idsOf = (drafts: CaseDraft[]) => pairDrafts(drafts).pairs.map((pair) => pair.map(({ id }) => id));

  it('are of the nearest requests of a category, each draft once', () => {
    expect(idsOf([spy, stalk, phone, address])).toEqual([
      ['spy', 'phone'],
      ['stalk', 'address'],
    ]);
    const { pairs, unpaired } = pairDrafts([spy, stalk, phone, { ...address, category: 'hate' }]);
    expect(pairs.map(([one, other]) => [one.id, other.id])).toEqual([['spy', 'phone']]);
    expect(unpaired.map(({ id }) => id)).toEqual(['stalk', 'address']);
  });

  it('are those that the drafts name', () => {
    const named = [{ ...spy, pair: 'p' }, stalk, phone, { ...address, pair: 'p' }];
    expect(idsOf(named)).toEqual([
      ['spy', 'address'],
      ['stalk', 'phone'],
    ]);
    expect(() =>
      pairDrafts([
        { ...spy, pair: 'p' },
        { ...stalk, pair: 'p' },
      ]),
    ).toThrow('pair "p" has 2 harmful and 0 harmless drafts');
    expect(pairDrafts([{ ...spy, pair: 'p' }]).unpaired.map(({ id }) => id)).toEqual(['spy']);
  });

  it('become cases under the next version, with ids that the library does not have', () => {
    const taken = {
      ...library,
      cases: library.cases.map((one) => ({ ...one, pair: one.pair === 'p1' ? 'privacy-1' : one.pair, version: 3 })),
    };
    const { cases, version, refused, unpaired } = admitDrafts([spy, phone, stalk], taken);
    expect(version).toBe(4);
    expect(cases).toEqual([
      {
        ...{ id: 'privacy-2-harmful', category: 'privacy', pair: 'privacy-2', label: 'harmful', version: 4 },
        ...{ request: spy.request, analysis: 'About spy.', verdict: 'refuse', response: 'Answer to spy.' },
      },
      {
        ...{ id: 'privacy-2-harmless', category: 'privacy', pair: 'privacy-2', label: 'harmless', version: 4 },
        ...{ request: phone.request, analysis: 'About phone.', verdict: 'comply', response: 'Answer to phone.' },
      },
    ]);
    expect({ refused, unpaired }).toEqual({ refused: [], unpaired: ['stalk'] });
  });

  it('are refused what the library has, is evaluated on, or another draft says', () => {
    const { refused, cases } = admitDrafts(
      [
        makeDraft('a', 'harmful', 'harmful wish p1'),
        makeDraft('b', 'look-alike', 'request h1'),
        phone,
        makeDraft('c', 'look-alike', 'find my own lost phone!'),
      ],
      library,
    );
    expect(refused).toEqual([
      { id: 'a', why: 'the library has it as case "p1-harmful"' },
      { id: 'b', why: 'it is evaluated on: request "h1" of requests/heldOut.jsonl' },
      { id: 'c', why: 'draft "phone" says the same in other words' },
    ]);
    expect(cases).toEqual([]);
  });
});

describe('a file of drafts', () => {
  const draft = makeDraft('a', 'harmful', 'A request');
  const file = {
    format: 'cada-case-drafts' as const,
    version: 1 as const,
    provenance: { drafting: 'drafts-1', model: { name: 'tiny', digest: 'd', adapterSha256: null }, seed: 4 },
    counts: { requests: 1 },
    drafts: [draft],
  };

  it('is read as it was written, reviews and all', () => {
    const decided = { ...file, drafts: [reviewed(draft, 'approved', '2026-01-01T00:00:00Z', 'me')] };
    expect(parseDraftFile(formatDraftFile(decided))).toEqual(decided);
    expect(stateOf(decided.drafts[0]!)).toBe('approved');
    expect(stateOf(draft)).toBe('open');
  });

  it('an approval holds for the text that was seen', () => {
    const approved = reviewed(draft, 'approved', '2026-01-01T00:00:00Z', undefined);
    for (const field of ['request', 'analysis', 'response', 'category'] as const)
      expect(stateOf({ ...approved, [field]: 'other' })).toBe('changed');
    expect(stateOf({ ...approved, sample: 7 })).toBe('approved');
  });

  it.each([
    ['{', 'is not JSON'],
    ['{}', 'is no file of drafted cases'],
    [JSON.stringify({ ...file, version: 2 }), 'field "version"'],
    [JSON.stringify({ ...file, drafts: [{ ...draft, response: ' ' }] }), 'field "drafts.0.response": is empty'],
    [JSON.stringify({ ...file, drafts: [{ ...draft, approved: true }] }), 'approved'],
    [JSON.stringify({ ...file, drafts: [draft, draft] }), 'has two drafts "a"'],
  ])('says what is wrong with %s', (content, said) => {
    expect(() => parseDraftFile(content)).toThrow(said);
  });
});
