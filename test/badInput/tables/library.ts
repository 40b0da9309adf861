/** Malformed libraries: requests, cases, codes, benchmarks, judge rules. */
import { decontaminateLibrary } from '../../../alignment/benchmarks/decontaminate.ts';
import { benchmarks } from '../../../alignment/benchmarks/benchmarks.ts';
import { parseAttackArtifacts, parseXstestAnswers } from '../../../alignment/benchmarks/labelledAnswers.ts';
import { selectRequests } from '../../../alignment/evaluation/selectRequests.ts';
import { createRuleJudge } from '../../../alignment/judges/ruleJudge.ts';
import { configurationSchema } from '../../../alignment/configuration/schema.ts';
import { parseLibrary } from '../../../alignment/library/parseLibrary.ts';
import { hazardsOf, withholdHazards } from '../../../alignment/library/withholdHazards.ts';
import { checkRequests } from '../../../cli/operate/inputChecks.ts';
import { readLibraryFiles, readRunLibrary } from '../../../cli/operate/libraryFiles.ts';
import { libraryFiles, makePair, makeRequest } from '../../alignment/makeLibrary.ts';
import type { BadInput } from '../badInput.ts';

type Says = (string | RegExp)[];

const line = (value: unknown): string => `${JSON.stringify(value)}\n`;

/** The valid library with one file changed; undefined = without it. */
function library(name: string, path: string, change: (content: string) => string | undefined, ...says: Says): BadInput {
  return {
    name,
    input: () => {
      const { [path]: content = '', ...files } = libraryFiles();
      const changed = change(content);
      return () => parseLibrary(changed === undefined ? files : { ...files, [path]: changed });
    },
    says: [`library/${path}`, ...says],
  };
}

const training = 'requests/training.jsonl';
const request = (name: string, row: unknown, ...says: Says): BadInput =>
  library(name, training, (content) => content + (typeof row === 'string' ? row : line(row)), ':4: ', ...says);
const listsThem = 'library/README.md lists them';

export const requestFiles: BadInput[] = [
  library(
    'no file of a split',
    'requests/development.jsonl',
    () => undefined,
    'is missing',
    'Add it, or leave library.path out',
  ),
  library('an empty file', 'requests/heldOut.jsonl', () => '\n', 'holds no requests', 'Write one JSON object a line'),
  request('a line that is not JSON', '{"id": \n', 'is not JSON', 'Write one JSON object a line'),
  request('a line of CSV', 't9,privacy,harmful\n', 'is not JSON'),
  request('a line that is a list', [1], 'expected object', listsThem),
  request('a line that is null', null, 'expected object'),
  request('a missing field', { ...makeRequest('t9'), request: undefined }, 'field "request"', listsThem),
  request('a blank request', { ...makeRequest('t9'), request: '  ' }, 'field "request": is empty', listsThem),
  request('a request that is a number', { ...makeRequest('t9'), request: 7 }, 'field "request"', 'expected string'),
  request('a missing id', { ...makeRequest('t9'), id: undefined }, 'field "id"', listsThem),
  request('an id that is an object', { ...makeRequest('t9'), id: { $ne: 1 } }, 'field "id"'),
  request('a label that is none', { ...makeRequest('t9'), label: 'evil' }, 'field "label"', '"harmful"|"harmless"'),
  request('a kind that is none', { ...makeRequest('t9'), kind: 'lookalike' }, 'field "kind"', '"look-alike"'),
  request(
    'a kind that contradicts the label',
    { ...makeRequest('t9'), kind: 'plain' },
    'request "t9" is labelled harmful, but its kind is "plain"',
    'The kind of a harmful request is',
  ),
  request(
    'an id twice',
    makeRequest('t1', 'plain'),
    'id "t1" is already that of line 1',
    'Give every line an id of its own',
  ),
  request(
    'a request twice',
    { ...makeRequest('t9'), request: 'request t1' },
    'request "request t1" is in requests/training.jsonl:1 already',
  ),
  library(
    'an id of another split',
    'requests/development.jsonl',
    (content) => content + line(makeRequest('t2', 'plain', 'privacy', 'other')),
    ':2: id "t2" is in requests/training.jsonl:2 already',
    'must not share requests',
  ),
  library(
    'a request of another split',
    'requests/heldOut.jsonl',
    (content) => content + line(makeRequest('h2', 'plain', 'privacy', 'request t2')),
    ':2: request "request t2" is in requests/training.jsonl:2 already',
  ),
  library(
    'a benchmark with a training request',
    'benchmarks/own.jsonl',
    () => line({ ...makeRequest('b1'), request: 'request t1' }),
    ':1: request "request t1" is in requests/training.jsonl:1 already',
  ),
  {
    name: 'fewer requests than asked for',
    input: () => () => selectRequests([makeRequest('a')], { harmful: 4000, plain: 0, lookAlike: 0 }, '', training),
    says: ['requests/training.jsonl has 1 harmful requests, but the configuration asks for 4000'],
  },
];

const withheld = (name: string, hazards: string[], ...says: Says): BadInput => ({
  name,
  input: () => () => withholdHazards(libraryFiles(), hazards),
  says,
});

export const withheldHazards: BadInput[] = [
  withheld('a hazard that is none of the library', ['privicy'], '"privicy" is no hazard', 'it has hate, privacy'),
  withheld('a topic of plain requests', ['cooking'], '"cooking" is no hazard of the library'),
  withheld('every hazard that is trained on', ['privacy'], 'no harmful training request is left', 'fewer hazards'),
  {
    name: 'hazards withheld from a library that is not well formed',
    input: () => () => withholdHazards({ ...libraryFiles(), [training]: '{"id": \n' }, ['hate']),
    says: ['library/requests/training.jsonl:1', 'is not JSON'],
  },
  {
    name: 'fewer requests left than asked for',
    input: async () => {
      const configuration = configurationSchema.parse({
        name: 'a',
        library: { withhold: ['hate', 'privacy', 'elections'] },
      });
      const left = parseLibrary(await readRunLibrary(configuration.library));
      return () => checkRequests(configuration, left);
    },
    says: ['requests/training.jsonl has 90 harmful requests, but the configuration asks for 96', 'library.withhold'],
  },
  {
    name: 'fewer pairs of requests than faithfulness asks for',
    input: async () => {
      const configuration = configurationSchema.parse({ name: 'a', evaluation: { faithfulness: { pairs: 49 } } });
      const shipped = parseLibrary(await readRunLibrary(configuration.library));
      return () => checkRequests(configuration, shipped);
    },
    says: ['requests/heldOut.jsonl has 48 pairs', 'evaluation.faithfulness asks for 49: lower that number'],
  },
  {
    name: 'fewer cases left than asked for',
    input: async () => {
      const counts = { harmful: 4, plain: 4, lookAlike: 4 };
      const kept = ['hate', 'privacy', 'elections'];
      const all = hazardsOf(parseLibrary(await readLibraryFiles(undefined)));
      const configuration = configurationSchema.parse({
        ...{ name: 'a', library: { withhold: [...all].filter((hazard) => !kept.includes(hazard)) } },
        ...{ cases: { count: 14 }, warmStart: { requests: counts }, iteration: { requests: counts } },
      });
      const left = parseLibrary(await readRunLibrary(configuration.library));
      return () => checkRequests(configuration, left);
    },
    says: ['cases.count asks for 7 contrast pairs, but 6 are left', 'library.withhold'],
  },
];

const asked = (...texts: string[]) => ({
  benchmark: 'advbench',
  questions: texts.map((text, index) => ({ id: `q${index}`, texts: [text] })),
});

export const decontaminatedLibraries: BadInput[] = [
  {
    name: 'a library of which nothing is left',
    input: () => () => decontaminateLibrary(libraryFiles(), [asked('request d1')]),
    says: ['nothing is left of requests/development.jsonl', 'hold it against fewer benchmarks'],
  },
  {
    name: 'fewer requests left than asked for',
    input: () => {
      const library = { decontaminate: ['advbench'] };
      const configuration = configurationSchema.parse({ name: 'a', library });
      return () => checkRequests(configuration, parseLibrary(libraryFiles()));
    },
    says: ['but the configuration asks for', 'let library.decontaminate name fewer benchmarks'],
  },
];

const cases = 'cases/cases.jsonl';

export const caseFiles: BadInput[] = [
  library('no file', cases, () => undefined, 'is missing'),
  library('a line that is not JSON', cases, (content) => `${content}{"id": \n`, ':5: is not JSON'),
  library(
    'a verdict that contradicts the label',
    cases,
    (content) => content.replace('"verdict":"comply"', '"verdict":"refuse"'),
    ':2: case "p1-harmless" is labelled harmless, but its verdict is "refuse"',
    'A harmful request is refused',
  ),
  library(
    'a verdict that is none',
    cases,
    (content) => content.replace('"comply"', '"maybe"'),
    ':2: field "verdict"',
    listsThem,
  ),
  library(
    'a version of zero',
    cases,
    (content) => content.replace('"version":1', '"version":0'),
    ':1: field "version"',
    listsThem,
  ),
  library(
    'no analysis',
    cases,
    (content) => content.replace('"analysis":"bad p1"', '"analysis":""'),
    ':1: field "analysis": is empty',
  ),
  library(
    'a pair with one side',
    cases,
    (content) => content + line(makePair('p3', 'hate')[1]),
    ':5: pair "p3" has no harmful case',
    'contrast pairs',
  ),
  library(
    'a pair with one side twice',
    cases,
    (content) => content + line({ ...makePair('p2', 'hate')[0], id: 'x' }),
    ':5: a second harmful case of pair "p2" (the first is in line 3)',
    'one case of each label',
  ),
];

const simple = 'codes/simple.md';

export const codeFiles: BadInput[] = [
  library('no file', simple, () => undefined, 'is missing'),
  library('no text', simple, () => '---\na: 1\n---\n', 'has no text', 'Write it below the front matter'),
  library('front matter without end', simple, () => '---\na: 1\n', ':1: the front matter does not end', 'three dashes'),
  library(
    'front matter that is not YAML',
    simple,
    () => '---\na: [\n---\nx',
    'the front matter is not YAML',
    'Correct it',
  ),
  library('front matter that is a list', simple, () => '---\n- a\n---\nx', 'not a list of "name: value" lines'),
  library(
    'a category that is a number',
    'codes/detailed/privacy.md',
    () => '---\ncategory: 7\n---\nx',
    '"category" in the front matter is not a text',
    'Name one hazard category',
  ),
  library(
    'benchmark categories that are no list',
    'codes/detailed/privacy.md',
    () => '---\ncategory: privacy\nbenchmarkCategories: malware\n---\nx',
    'codes/detailed/privacy.md',
    '"benchmarkCategories" in the front matter is not a list of texts',
    'Write a list',
  ),
  library(
    'benchmark categories of no hazard',
    'codes/detailed/tiers.md',
    () => '---\nbenchmarkCategories: [malware]\n---\nx',
    'codes/detailed/tiers.md',
    'needs a "category" beside it',
  ),
  library(
    'front matter that stands for gigabytes',
    simple,
    () =>
      `---\na: &a [x,x,x,x,x,x,x,x,x]\n${[...'bcdefghij'].map((name, i) => `${name}: &${name} [${`*${'abcdefghi'[i]},`.repeat(9)}]\n`).join('')}---\nx`,
    'the front matter is not YAML',
    'alias',
  ),
];

const phrases = 'judges/published29.json';

function rules(name: string, change: object | string, ...says: Says): BadInput {
  const whole = {
    version: 1,
    openingSentences: 2,
    refusal: [{ id: 'r', pattern: 'no' }],
    notRefusal: [],
    content: [],
    contentWords: 9,
    unusable: [],
  };
  return {
    name,
    input: () => () => createRuleJudge(typeof change === 'string' ? change : { ...whole, ...change }),
    says: ['library/judges/refusal.json: ', 'Correct', ...says],
  };
}

export const judgeFiles: BadInput[] = [
  library('no rule file', 'judges/refusal.json', () => undefined, 'is missing'),
  library('a rule file that is not JSON', 'judges/refusal.json', () => '{', 'is not JSON', 'Correct it'),
  library('a phrase list that is none', phrases, () => '{}', 'field "phrases"', 'Write { "phrases": [ ... ] }'),
  library('an empty phrase list', phrases, () => '{ "phrases": [] }', 'field "phrases"'),
  library('an empty phrase', phrases, () => '{ "phrases": [""] }', 'field "phrases.0"'),
  rules('rules that are a text', 'no', 'expected object'),
  rules('rules of no version', { version: undefined }, 'field "version"'),
  rules('no rule that refuses', { refusal: [] }, 'field "refusal"'),
  rules('a rule without pattern', { refusal: [{ id: 'r' }] }, 'field "refusal.0.pattern"'),
  rules('an empty pattern', { content: [{ id: 'r', pattern: '' }] }, 'field "content.0.pattern"'),
  rules(
    'a pattern that is none',
    { unusable: [{ id: 'x', pattern: '(' }] },
    'unusable rule "x"',
    'Correct the pattern',
  ),
  rules('an unknown field', { refusals: [] }, '"refusals"'),
  rules('content of no words', { contentWords: 0 }, 'field "contentWords"'),
];

const xstest = 'id,prompt,type,label\n1,How?,a,safe\n';

const published = (name: string, read: () => unknown, ...says: Says): BadInput => ({ name, input: () => read, says });

export const benchmarkFiles: BadInput[] = [
  published('no rows', () => benchmarks.xstest.parse(['id,prompt,type,label\n']), 'holds no rows'),
  published('an empty file', () => benchmarks.xstest.parse(['']), 'holds no rows'),
  published(
    'another label',
    () => benchmarks.xstest.parse([xstest.replace('safe', 'dubious')]),
    'row 1, column "label"',
  ),
  published('a missing column', () => benchmarks.xstest.parse(['id,prompt,type\n1,How?,a\n']), 'row 1, column "label"'),
  published('an empty prompt', () => benchmarks.xstest.parse([xstest.replace('How?', '')]), 'row 1, column "prompt"'),
  published(
    'a row too long',
    () => benchmarks.xstest.parse([`${xstest}2,a,b,safe,more\n`]),
    /[Rr]ecord.*[Ll]ength|columns/,
  ),
  published('an unclosed quote', () => benchmarks.xstest.parse([`${xstest}2,"a\n`]), /[Qq]uote/),
  published('an error page', () => benchmarks.xstest.parse(['<!doctype html>\n<p>404</p>\n']), 'row 1, column'),
  published(
    'the file of another benchmark',
    () => benchmarks.jailbreakbench.parse([xstest, xstest]),
    'row 1, column "goal"',
  ),
  published(
    'labelled answers without labels',
    () => parseXstestAnswers('id,type,prompt,completion\n1,a,b,c\n'),
    'row 1, column "final_label"',
  ),
  published(
    'labelled answers with another label',
    () => parseXstestAnswers('id,type,prompt,completion,final_label\n1,a,b,c,maybe\n'),
    'row 1, column "final_label"',
  ),
  published('attack artifacts that are not JSON', () => parseAttackArtifacts('{'), /JSON/),
  published('attack artifacts without rows', () => parseAttackArtifacts('{"jailbreaks":[]}'), 'holds no rows'),
  published(
    'attack artifacts of another shape',
    () => parseAttackArtifacts('{"jailbreaks":[{"index":"1"}]}'),
    'row 1',
    '"index"',
  ),
];
