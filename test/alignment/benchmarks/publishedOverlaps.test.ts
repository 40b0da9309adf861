/** Overlaps of published data sets, counted on their real files where these are on this machine: CADA_DATA, else ../shared/data beside the repository. */
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { contaminationOf, suiteTexts, type TextSource } from '../../../alignment/benchmarks/contamination.ts';
import { plainWords } from '../../../alignment/benchmarks/overlapIndex.ts';
import type { SuiteName } from '../../../alignment/benchmarks/benchmarkNames.ts';
import { parseSuite, suiteSource } from '../../../alignment/benchmarks/suites.ts';
import { trainingTexts } from '../../../alignment/benchmarks/trainingTexts.ts';

const data = process.env['CADA_DATA'] ?? '../shared/data';

/** Undefined where a file of the suite is missing. */
function questionsOf(suite: SuiteName) {
  const found = suiteSource(suite).files.map(({ paths }) =>
    paths.map((path) => `${data}/${path}`).find((path) => existsSync(path)),
  );
  if (found.some((path) => path === undefined)) return undefined;
  return parseSuite(
    suite,
    found.map((path) => readFileSync(path!, 'utf8')),
  );
}

function fileSource(path: string): TextSource | undefined {
  const file = `${data}/${path}`;
  if (!existsSync(file)) return undefined;
  return { name: path, use: 'trained on', texts: trainingTexts(file, readFileSync(file, 'utf8')) };
}

function suiteSourceOf(suite: SuiteName): TextSource | undefined {
  const questions = questionsOf(suite);
  return (
    questions && { name: suite, use: 'evaluated on', texts: questions.map(({ id, goal }) => ({ id, text: goal })) }
  );
}

/** Texts of the one that stand in the other word for word, each text once. */
function exactTexts(source: TextSource, suite: SuiteName): number {
  const questions = questionsOf(suite)!.filter(({ kind }) => kind === 'harmful');
  const { pairs } = contaminationOf(source, suiteTexts(suite, questions));
  const texts = new Map(questions.map(({ id, goal }) => [id, plainWords(goal)]));
  return new Set(pairs.flatMap(({ question, overlap }) => (overlap === 1 ? [texts.get(question)!] : []))).size;
}

/** Why a test is skipped, printed too: the reporter tells no notes of tests that did not fail. */
function lacking(title: string, files: string): string {
  const note = `${data} lacks the files of ${files}; set CADA_DATA`;
  console.warn(`skipped: ${title}: ${note}`);
  return note;
}

const star1 = () => fileSource('star1/STAR-1.json');

const known: [string, () => TextSource | undefined, SuiteName, number][] = [
  // Of its 200 standard behaviours; of all 400 texts below.
  ['STAR-1', star1, 'harmbench', 2],
  ['STAR-1', star1, 'simplesafetytests', 4],
  ['STAR-1', star1, 'jailbreakbench', 0],
  ['STAR-1', star1, 'strongreject', 0],
  ['STAR-1', star1, 'xstest', 0],
  ['STAR-1', star1, 'maliciousinstruct', 1],
  ['StrongREJECT', () => suiteSourceOf('strongreject'), 'advbench', 25],
  ['StrongREJECT', () => suiteSourceOf('strongreject'), 'maliciousinstruct', 12],
  ['StrongREJECT', () => suiteSourceOf('strongreject'), 'jailbreakbench', 3],
  ['AdvBench', () => suiteSourceOf('advbench'), 'jailbreakbench', 11],
  ['refusal_direction harmful_train', () => fileSource('refusal_direction_splits/harmful_train.json'), 'advbench', 117],
  [
    'refusal_direction harmful_train',
    () => fileSource('refusal_direction_splits/harmful_train.json'),
    'maliciousinstruct',
    88,
  ],
];

test.for(known.map((one) => ({ title: `${one[0]} and ${one[2]}: ${one[3]} texts in common`, one })))(
  '$title',
  ({ title, one: [name, sourceOf, suite, count] }, { skip }) => {
    const source = sourceOf();
    if (!source || !questionsOf(suite)) return skip(lacking(title, source ? suite : name));
    expect(exactTexts(source, suite)).toBe(count);
  },
);

test('STAR-1 and all texts of HarmBench, contextual ones among them: 32 in common', ({ skip, task }) => {
  const [source, behaviours] = [star1(), fileSource('harmbench/harmbench_behaviors_text_all.csv')];
  if (!source || !behaviours) return skip(lacking(task.name, source ? 'HarmBench' : 'STAR-1'));
  const questions = behaviours.texts.map(({ id, text }) => ({ id, texts: [text] }));
  expect(questions).toHaveLength(400);
  expect(contaminationOf(source, { benchmark: 'harmbench', questions }).exact).toBe(32);
});
