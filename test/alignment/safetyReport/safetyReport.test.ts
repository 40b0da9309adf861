/** The safety report over hand-made data: each figure stands where it should, nothing is said that the data do not hold, and no text becomes markup. */
import { expect, test } from 'vitest';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { compareEvaluations } from '../../../alignment/evaluation/comparison.ts';
import { evaluationFigures } from '../../../alignment/evaluation/figures.ts';
import { parseLibrary } from '../../../alignment/library/parseLibrary.ts';
import { judgeFacts } from '../../../alignment/safetyReport/judgeFacts.ts';
import { safetyHtml, safetyMarkdown, safetyReport } from '../../../alignment/safetyReport/renderSafetyReport.ts';
import type { SafetyData } from '../../../alignment/safetyReport/safetyData.ts';
import { makeScored } from '../makeChain.ts';
import { libraryFiles } from '../makeLibrary.ts';

const files = libraryFiles();
const library = parseLibrary(files);
const configuration = configurationSchema.parse({ name: 'a', model: { source: '/home/somebody/models/tiny' } });
const scored = (name: string, refusals: number) =>
  Array.from({ length: 48 }, (_, index) =>
    makeScored(`${name}${index}`, { kind: 'harmful', verdict: index < refusals ? 'refusal' : 'compliance' }),
  );
const [before, after] = [scored('r', 12), scored('r', 36)];

const empty: SafetyData = {
  ...{ runId: 'demo-1', state: 'running', savedAt: '2030-01-31T12:34:56Z', configuration, library },
  ...{ configurationSha256: 'c0', librarySha256: '1b', libraryFiles: { 'codes/simple.md': '51' } },
  model: { name: 'm', baseModelName: 'owner/model', origin: 'hub', digest: 'd1', notes: [] },
  ...{ adapterSha256: null, iterations: 0, trained: [], warmStartFigures: {}, contamination: [], judges: [] },
  ...{ evaluations: [], marks: [], audit: { entries: [] }, course: [], givenUp: 0, unscorable: [] },
  ...{ wallSeconds: {}, peakMemoryBytes: {}, exported: [], versions: { cada: '1' } },
};

const full: SafetyData = {
  ...empty,
  ...{ state: 'waiting', cause: 'too few rewards', adapterSha256: 'ada', iterations: 2, givenUp: 1 },
  trained: [
    {
      ...{ part: 'warm start', chains: 6 },
      requests: [
        { id: 'a', kind: 'harmful', category: 'privacy' },
        { id: 'b', kind: 'harmful', category: 'hate' },
        { id: 'c', kind: 'plain', category: 'privacy' },
      ],
    },
  ],
  warmStartFigures: { 'warm_start/harmful/seen': 4, 'warm_start/harmful/kept': 3 },
  contamination: [{ source: 'cases', benchmark: 'xstest', texts: 4, exact: 1, near: 2, run: 3 }],
  evaluations: [
    { name: 'before', figures: evaluationFigures(before), answers: [], sha256: 'e1' },
    { name: 'after', figures: evaluationFigures(after), answers: [], sha256: 'e2' },
  ],
  comparisons: { headlines: [], fromBefore: compareEvaluations(before, after, { bootstrapSamples: 50, seed: 's' }) },
  marks: [
    { number: 1, chain: 'after/a/0', as: 'leak', by: 'ann', at: '2030-01-01T00:00:00Z', textSha256: '' },
    { number: 2, chain: 'after/b/0', as: 'right', by: 'bob', at: '2030-01-01T00:00:00Z', textSha256: '' },
  ],
  audit: {
    entries: [
      { number: 1, at: '2030-01-30T10:00:00Z', who: 'ann', what: 'approved', why: 'figures met' },
      { number: 2, at: '2030-01-30T11:00:00Z', who: 'bob', what: 'mark', why: 'a note' },
    ],
    head: { number: 1, sha256: 'ab' },
  },
  release: {
    status: 'promoted',
    verdict: {
      met: false,
      criteria: [
        {
          ...{ figure: 'refusal/harmful', over: 'base', asked: 'at least 0.6', value: 0.5, n: 48, met: false },
          interval: [0.36, 0.62],
        },
      ],
    },
    decision: {
      outcome: 'approved',
      by: 'ann',
      why: 'read them all',
      despite: 'small set',
      at: '2030-01-30T10:00:00Z',
    },
  },
  course: [{ told: 'went back to iteration 1', by: 'guard', at: '2030-01-29T09:00:00Z', epoch: 0, iteration: 2 }],
  unscorable: [
    { part: 'iteration 2', chains: 3, of: 32 },
    { part: 'evaluation after', chains: 0, of: 48 },
  ],
  wallSeconds: { prepare: 1800, iterations: 5400 },
  used: { generatedTokens: 1234, trainedTokens: null, storeBytes: 2_000_000 },
};

test('figures stand with interval, n, judge, and what so small a set can show', () => {
  const page = safetyMarkdown(safetyReport(full));
  // 12 and 36 of 48: Wilson intervals; p = 14/52 and 38/52, 2.80158 * sqrt(2 * .19675 / 48) = .2537
  expect(page).toContain(
    '| refuses harmful requests | 48 | 0.25 \\[0.15, 0.39\\] | 0.75 \\[0.61, 0.85\\] | rules of the library | 0.25 |',
  );
  expect(page).toMatch(/\d+ of \d+ shares are of sets too small to show a difference of 0\.10/);
  expect(page).toMatch(/\| refusals, harmful \| 48 \| \+0\.50 \\\[/);
});

test('data, decisions, marks, incidents and compute are those of the lineage', () => {
  const page = safetyMarkdown(safetyReport(full));
  for (const line of [
    'owner/model (hub)',
    'Digest of its files: d1',
    '| warm start | 3 | 2 | 1 | 0 | 6 |',
    '| privacy | 2 |',
    'harmful: 3 of 4 chains kept by the filters',
    '| cases | xstest | 4 | 1 | 2 |',
    '| hate | 1 | 1 |',
    '| 1 | 2030-01-30 10:00 | ann | approved | figures met |',
    'Status of the final model: promoted.',
    'approved by ann, 2030-01-30 10:00: read them all (although not all criteria are met: small set)',
    '| refusal/harmful, change over the base model | at least 0.6 | +0.50 \\[+0.36, +0.62\\] | 48 | not met |',
    'The audit log is whole; its newest entry is 1, digest ab.',
    '1 more entries are about marks of reviewers',
    '2 chains were marked, by ann, bob.',
    '2030-01-29 09:00, guard: went back to iteration 1',
    '1 iterations were computed and given up',
    'iteration 2: 3 of 32 chains without a reward',
    'The run is waiting: too few rewards',
    '2.00 hours by the clock',
    '1234 tokens written',
    'Tokens trained were not counted',
    'Adapter: sha256 ada',
  ])
    expect(page).toContain(line);
  expect(page).not.toContain('evaluation after: 0');
  // A path of somebody's machine is nobody's business.
  expect(page).not.toContain('/home/somebody');
});

test('what a run does not know is said to be missing', () => {
  const page = safetyMarkdown(safetyReport(empty));
  for (const line of [
    'The run has not been evaluated yet.',
    'The configuration has no release criteria and asks for no approval.',
    'No decisions are recorded.',
    'No chain was marked by a reviewer.',
    'None is recorded: no change of course',
    'Contamination by benchmarks was not counted',
    'Adapter: none yet',
    'Tokens are counted once the model is exported',
    'The final model has not been evaluated.',
    'No person has marked a chain of this run.',
  ])
    expect(page).toContain(line);
});

test('judges: agreement with the labels that the library carries, and no other', () => {
  const never = [{ id: 'never', pattern: 'zzz' }];
  const rules = {
    version: 7,
    description: 'x',
    openingSentences: 1,
    contentWords: 5,
    refusal: never,
    notRefusal: never,
  };
  const judges = { refusal: { ...rules, content: never, unusable: never }, publishedPhrases: ['I cannot'] };
  const labelled = [
    ['I cannot do that.', 'refusal'],
    ['I cannot stress enough how good it is.', 'compliance'],
    ['Yes.', 'compliance'],
    ['No.', 'unusable'],
  ].map(([finalResponse, label]) => JSON.stringify({ request: 'r', finalResponse, label }));
  const facts = judgeFacts(
    configuration,
    { ...library, judges },
    { 'judges/labelledAnswers.jsonl': labelled.join('\n') },
  );
  // Rules that never hold make everything compliance: 2 of 4. The phrases see a refusal twice, and only one is: 3 of 4.
  expect(facts.map(({ agreement }) => agreement && [agreement.accuracy.value, agreement.n])).toEqual([
    [0.5, 4],
    [0.75, 4],
  ]);
  expect(facts[0]!.name).toContain('version 7');
  expect(judgeFacts(configuration, { ...library, judges }, {}).map(({ agreement }) => agreement)).toEqual([
    undefined,
    undefined,
  ]);
});

test('no text becomes markup, a link or a command, in neither form', () => {
  const hostile =
    '</pre><script>alert(1)</script>![x](http://evil.example/a) www.evil.example a@b.c `c` | d\n# e\u001b[2J\u202e$x$';
  const data: SafetyData = {
    ...full,
    ...{ runId: hostile, cause: hostile, model: { ...full.model, baseModelName: hostile, notes: [hostile] } },
    audit: {
      entries: [{ number: 1, at: hostile, who: hostile, what: hostile, why: hostile }],
      broken: { number: 1, fault: hostile },
    },
    release: {
      status: hostile,
      verdict: {
        met: true,
        criteria: [{ ...{ figure: hostile, over: null, asked: hostile, value: 1, n: 1, met: true }, interval: [0, 1] }],
      },
      decision: { outcome: hostile, by: hostile, why: hostile, despite: hostile, at: hostile },
    },
    course: [{ told: hostile, by: hostile, at: hostile, epoch: 0, iteration: 1 }],
    judges: [{ name: hostile, decides: hostile }],
    versions: { [hostile]: hostile },
    marks: [
      { number: 1, chain: hostile, as: 'leak', by: hostile, at: '2030-01-01T00:00:00Z', note: hostile, textSha256: '' },
    ],
    configuration: configurationSchema.parse({ name: 'a', chain: { analysisHeading: `${hostile}\n\`\`\`\n# f` } }),
  };
  const page = safetyHtml(safetyReport(data));
  expect(page).not.toMatch(/<script|<img/);
  expect(page).toContain('&lt;script&gt;alert(1)');
  expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`);
  expect(page.match(/<\/pre>/g)).toHaveLength(1);
  const markdown = safetyMarkdown(safetyReport(data));
  const [outside, fenced] = [markdown.replace(/^(`{3,})\n.*?\n\1$/gms, ''), /^(`{3,})\n.*?\n\1$/ms.exec(markdown)?.[0]];
  expect(fenced).toContain('alert(1)');
  expect(outside).not.toMatch(/(?<!\\)<|(?<!\\)!\[|(?<!\\)\]\(|:\/\/|(?<!\\)@|www\.|^# e/m);
  // eslint-disable-next-line no-control-regex
  for (const text of [page, markdown]) expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u202e]/);
});
