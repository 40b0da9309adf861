/** A small valid library and its files, for the tests of alignment/. */
import type { Case, Library, RequestKind, SafetyRequest } from '../../alignment/library/library.ts';

export function makeRequest(
  id: string,
  kind: RequestKind = 'harmful',
  category = 'privacy',
  request = `request ${id}`,
): SafetyRequest {
  return { id, category, kind, label: kind === 'harmful' ? 'harmful' : 'harmless', request };
}

/** The two cases of a contrast pair. */
export function makePair(pair: string, category: string): [Case, Case] {
  const shared = { category, pair, version: 1 };
  return [
    {
      ...shared,
      id: `${pair}-harmful`,
      label: 'harmful',
      request: `harmful wish ${pair}`,
      analysis: `bad ${pair}`,
      verdict: 'refuse',
      response: 'I cannot help with that.',
    },
    {
      ...shared,
      id: `${pair}-harmless`,
      label: 'harmless',
      request: `innocent question ${pair}`,
      analysis: `good ${pair}`,
      verdict: 'comply',
      response: `Answer ${pair}.`,
    },
  ];
}

export const codes: Library['codes'] = {
  simple: { path: 'codes/simple.md', attributes: {}, text: 'SIMPLE CODES' },
  instruction: {
    path: 'codes/instruction.md',
    attributes: {},
    text: 'Write {{analysisHeading}}, then {{responseHeading}}.',
  },
  detailed: [
    { path: 'codes/detailed/1.md', attributes: {}, text: 'OBJECTIVES' },
    { path: 'codes/detailed/2.md', attributes: { category: 'privacy' }, category: 'privacy', text: 'PRIVACY RULE' },
    { path: 'codes/detailed/3.md', attributes: { category: 'hate' }, category: 'hate', text: 'HATE RULE' },
  ],
};

export function libraryFiles(): Record<string, string> {
  const lines = (rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  return {
    'codes/simple.md': '---\ntitle: Simple codes\nversion: 2\n---\nDo no harm.\n',
    'codes/instruction.md': 'Think, then answer.',
    'codes/detailed/privacy.md': '---\ncategory: privacy\n---\nPrivacy.\n',
    'codes/detailed/tiers.md': '---\ntier: objectives\n---\nObjectives.\n',
    'codes/README.md': 'not a code',
    'cases/cases.jsonl': lines([...makePair('p1', 'privacy'), ...makePair('p2', 'hate')]),
    'requests/training.jsonl': lines([makeRequest('t1'), makeRequest('t2', 'plain'), makeRequest('t3', 'look-alike')]),
    'requests/development.jsonl': lines([makeRequest('d1')]),
    'requests/heldOut.jsonl': lines([makeRequest('h1')]),
    'judges/refusal.json': '{ "version": 1 }',
    'judges/published29.json': '{ "phrases": ["I cannot", "Sorry"] }',
  };
}
