import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { stateOf, type CaseDraft, type CaseDraftFile } from '../../alignment/cases/drafts/caseDrafts.ts';
import { reviewOneByOne } from '../../cli/operate/reviewDrafts.ts';

const draft = (id: string, changes: Partial<CaseDraft> = {}): CaseDraft => ({
  ...{ id, category: 'privacy', kind: 'harmful', request: `Request ${id}`, analysis: 'So I will decline.' },
  ...{ verdict: 'refuse', response: 'No.', sample: 0, ...changes },
});
const fileOf = (...drafts: CaseDraft[]): CaseDraftFile => ({
  ...{ format: 'cada-case-drafts', version: 1, counts: {}, drafts },
  provenance: { drafting: 'd', model: { name: 'm', digest: 'd', adapterSha256: null } },
});

async function review(file: CaseDraftFile, typed: string, signal = new AbortController().signal) {
  const [input, output] = [new PassThrough(), new PassThrough()];
  input.end(typed);
  const saved: CaseDraftFile[] = [];
  const result = await reviewOneByOne(file, {
    ...{ input, output, signal, by: 'me', now: () => '2026-01-01T00:00:00Z' },
    save: (one) => Promise.resolve(void saved.push(one)),
  });
  return { result, saved, shown: String(output.read() ?? '') };
}

test('asks for each draft, takes only answers that it knows, and saves after each decision', async () => {
  const { result, saved, shown } = await review(fileOf(draft('a'), draft('b'), draft('c')), 'what?\nA\nreject\ns\n');
  expect(result.drafts.map(stateOf)).toEqual(['approved', 'rejected', 'open']);
  expect(result.drafts[0]!.review).toMatchObject({ at: '2026-01-01T00:00:00Z', by: 'me' });
  expect(saved.map(({ drafts }) => drafts.map(stateOf))).toEqual([
    ['approved', 'open', 'open'],
    ['approved', 'rejected', 'open'],
  ]);
  expect(shown.match(/\[a\]pprove/g)).toHaveLength(4);
  expect(shown).toContain('Draft 1 of 3: a (privacy, harmful)\nRequest:\n  Request a\nAnalysis, then: refuse\n');
});

test('goes on with what is undecided, and ends with q or with the input', async () => {
  const { result } = await review(fileOf(draft('a'), draft('b'), draft('c')), 'a\nq\n');
  expect(result.drafts.map(stateOf)).toEqual(['approved', 'open', 'open']);
  const further = await review(result, 'r\n');
  expect(further.shown).toContain('Draft 1 of 2: b');
  expect(further.result.drafts.map(stateOf)).toEqual(['approved', 'rejected', 'open']);
  const edited = { ...result, drafts: result.drafts.map((one) => ({ ...one, response: 'Edited.' })) };
  expect((await review(edited, '')).shown).toContain('a (privacy, harmful, changed after its review)');
});

test('what a model wrote cannot move the cursor', async () => {
  const { shown } = await review(fileOf(draft('a', { response: 'No.\u001b[2J\u202eok', id: 'a\u0007' })), 'q\n');
  expect(shown).toContain('No.\\x1b[2J\\u202eok');
  expect(shown).toContain('a\\x07');
  // eslint-disable-next-line no-control-regex
  expect(shown).not.toMatch(/[\u0000-\u0008\u001b\u202e]/);
});
