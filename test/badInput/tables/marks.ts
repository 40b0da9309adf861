/** Marks that cannot be: of files, and on the command line against a run that is in the store. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseMarkLines } from '../../../alignment/feedback/marks.ts';
import { openStore } from '../../../infra/artifacts/artifactStore.ts';
import { saveRun } from '../../../infra/artifacts/runs.ts';
import type { BadInput } from '../badInput.ts';
import { command, run } from './commandLine.ts';

type Says = (string | RegExp)[];
const now = new Date('2030-01-31T12:00:00Z');
const sound = { run: 'demo', chain: 'after/r/0', as: 'right', by: 'ann' };

function file(name: string, text: string, ...says: Says): BadInput {
  return { name, input: () => () => parseMarkLines(text, now), says };
}

const line = (name: string, changes: object, ...says: Says): BadInput =>
  file(name, `\n${JSON.stringify({ ...sound, ...changes })}\n`, 'line 2: ', ...says);

export const markFiles: BadInput[] = [
  file('nothing in it', '\n\n', 'holds no mark', 'run, chain, as and by'),
  file('a line cut off', '{"run":"demo","cha', 'line 1: is not JSON', 'write one object a line'),
  file('a list', '[]', 'line 1: '),
  line('no run', { run: undefined }, 'field "run"'),
  line('an empty run', { run: ' ' }, 'field "run": is empty'),
  line(
    'a chain of no set',
    { chain: 'r/0' },
    'field "chain": is not the name of a chain',
    '<set>/<request id>/<sample>',
  ),
  line('a chain of no sample', { chain: 'after/r' }, 'field "chain": is not the name of a chain'),
  line('a verdict that is none', { as: 'good' }, 'field "as"', 'wrong-refusal'),
  line('nobody', { by: ' ' }, 'field "by": must be a name of 1 to 100 characters'),
  line('a name that is a text', { by: 'x'.repeat(101) }, 'field "by": must be a name of 1 to 100 characters'),
  line('a name that a terminal obeys', { by: 'ann\u001b[2J' }, 'field "by": must be a name on one line'),
  line('a note without end', { note: 'x'.repeat(2001) }, 'field "note"'),
  line('a time that is none', { at: 'yesterday' }, 'field "at": is not an ISO time'),
  line('a time that has not come', { at: '2030-01-31T13:00:00Z' }, 'has not come yet', 'leave it out'),
  line('another field', { verdict: 'right' }, 'verdict'),
];

/** Against a store with a run `demo` that has no chains yet. */
function withRun(name: string, args: string[], marks: string | undefined, ...says: Says): BadInput {
  return {
    name,
    input: async (folder) => {
      const store = await openStore(join(folder, 'store'));
      const reference = await store.putBytes('{}', 'configuration');
      await saveRun(store, 'demo', {
        ...{ runId: 'demo', state: 'done', stage: 'done', iteration: 0, iterations: 0 },
        ...{ configuration: reference, library: reference, evaluations: {}, wallSeconds: {}, peakMemoryBytes: {} },
      });
      if (marks !== undefined) await writeFile(join(folder, 'marks.jsonl'), marks);
      return () =>
        run(
          args.map((arg) => (arg === 'FILE' ? join(folder, 'marks.jsonl') : arg)),
          folder,
        );
    },
    says: [/^exit code 2\n/, /^(?!.*standard output)/s, ...says],
  };
}

const marking = (chain: string, ...more: string[]): string[] => [
  'mark',
  'demo',
  chain,
  '--as',
  'right',
  '--by',
  'ann',
  ...more,
];

export const markCommands: BadInput[] = [
  command('a mark of no run', ['mark', 'x', 'after/r/0', '--as', 'right', '--by', 'ann'], 'There is no run'),
  command('a mark of nobody', ['mark', 'x', 'after/r/0', '--as', 'right'], "required option '--by <name>'"),
  command(
    'a mark that is none',
    ['mark', 'x', 'after/r/0', '--as', 'good', '--by', 'ann'],
    'Known: right, wrong-refusal',
  ),
  command('marks of no run', ['marks', 'x'], 'There is no run'),
  withRun('a mark of what is no chain', marking('r'), undefined, '"r" is not the name of a chain', '`cada chains`'),
  withRun(
    'a mark of an evaluation that is not there',
    marking('after/r/0'),
    undefined,
    'no finished "after"',
    'There is: nothing yet',
  ),
  withRun('a mark of an iteration that is not there', marking('3.1/r/0'), undefined, 'no finished "3.1"'),
  withRun(
    'a mark by a name that is a text',
    ['mark', 'demo', 'after/r/0', '--as', 'right', '--by', 'x'.repeat(101)],
    undefined,
    'must be a name of 1 to 100 characters',
  ),
  withRun(
    'a file of marks that is not there',
    ['marks', 'import', 'demo', 'no.jsonl'],
    undefined,
    'The marks cannot be read',
  ),
  withRun(
    'a malformed file of marks',
    ['marks', 'import', 'demo', 'FILE'],
    '{}',
    'marks.jsonl: line 1: ',
    'docs/governance.md',
  ),
  withRun(
    'marks of another run',
    ['marks', 'import', 'demo', 'FILE'],
    JSON.stringify({ ...sound, run: 'other' }),
    'holds marks of run "other"',
  ),
  withRun(
    'marks of chains that are not there',
    ['marks', 'import', 'demo', 'FILE'],
    JSON.stringify(sound),
    'no finished "after"',
  ),
  withRun(
    'cases from a run without marks',
    ['cases', 'draft', '--from-marks', 'demo'],
    undefined,
    'No chain of demo is marked',
    '`cada mark`',
  ),
  command('a safety report of no run', ['safety-report', 'x'], 'There is no run'),
  withRun(
    'a safety report of a run without a model',
    ['safety-report', 'demo'],
    undefined,
    'has no model yet',
    '`cada status`',
  ),
  withRun(
    'cases from marks and from a file',
    ['cases', 'draft', '--from-marks', 'demo', '--from', 'x.jsonl'],
    undefined,
    '--from cannot be given with it',
  ),
];
