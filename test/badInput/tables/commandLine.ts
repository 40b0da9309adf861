/** Command lines that are wrong, and stores whose run records are, given to the command in this process. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { openOperations } from '../../../cli/launch.ts';
import { main } from '../../../cli/main.ts';
import { openStore } from '../../../infra/artifacts/artifactStore.ts';
import { saveRun } from '../../../infra/artifacts/runs.ts';
import type { BadInput } from '../badInput.ts';

type Says = (string | RegExp)[];

/** What a command wrote to standard error, as an error where it did not end well. */
export async function run(args: string[], folder: string): Promise<void> {
  const written = { out: '', err: '' };
  const stream = (name: 'out' | 'err') =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        written[name] += chunk.toString();
        done();
      },
    }) as unknown as NodeJS.WriteStream;
  const code = await main(args, {
    stdout: stream('out'),
    stderr: stream('err'),
    env: { CADA_HOME: join(folder, 'home'), CADA_CACHE: join(folder, 'cache'), CADA_STORE: join(folder, 'store') },
    operations: openOperations,
    signal: new AbortController().signal,
  });
  if (code !== 0)
    throw new Error(
      `exit code ${code}\n${written.err}${written.out === '' ? '' : `\nstandard output: ${written.out}`}`,
    );
}

export function command(name: string, args: string[], ...says: Says): BadInput {
  return {
    name,
    input: async (folder) => {
      await openStore(join(folder, 'store'));
      return () => run(args, folder);
    },
    says: [/^exit code 2\n/, /^(?!.*standard output)/s, /^(?!.* at .*\.ts:)/s, ...says],
  };
}

const once = (name: string) =>
  command(`an unknown option of ${name}`, [...name.split(' '), '--wrong'], "unknown option '--wrong'", '--help');

export const commandLines: BadInput[] = [
  command('an unknown command', ['trian'], "unknown command 'trian'", 'Did you mean train?'),
  command('an unknown global option', ['--loud', 'train'], "unknown option '--loud'"),
  ...[
    'train',
    'status',
    'runs',
    'report',
    'watch',
    'pause',
    'resume',
    'retry',
    'stop',
    'ui',
    'init',
    'doctor',
    'clean',
    'verify',
    'gc',
    'audit',
    'cases draft',
    'cases review',
    'export dataset --out x',
    'marks',
    'safety-report',
    'marks import run file',
    'mark run chain --as right --by ann',
  ].map(once),
  command('drafts of no kind', ['cases', 'draft', '--kinds', 'evil'], 'There is no kind "evil"', 'look-alike'),
  command('drafts of no samples', ['cases', 'draft', '--samples', '0'], 'a whole number above 0'),
  command('drafts at a temperature below 0', ['cases', 'draft', '--temperature=-1'], 'A number, 0 or more'),
  command(
    'drafts from requests that are not there',
    ['cases', 'draft', '--from', 'no.jsonl'],
    'The requests cannot be read',
    '--from',
  ),
  command(
    'drafts by a teacher that nobody named',
    ['cases', 'draft', '--teacher'],
    'has no teacher',
    'section teacher',
  ),
  command('drafts by a run that is not there', ['cases', 'draft', '--run', 'x'], 'There is no run'),
  command('a review of no file', ['cases', 'review', 'no.json'], 'The drafts cannot be read', '`cada cases draft`'),
  command('a review of another file', ['cases', 'review', 'package.json'], 'is no file of drafted cases'),
  command('cases for no library', ['cases', 'add', 'no.json'], '--library'),
  command('one configuration too many', ['train', 'a.yaml', 'b.yaml'], 'too many arguments'),
  command(
    'a configuration that is not there',
    ['train', 'no.yaml'],
    'no.yaml:1:1  there is no such file',
    '`cada init`',
  ),
  command(
    'options that exclude each other',
    ['train', '--resume', '--fresh'],
    '--resume and --fresh exclude each other',
    'leave one out',
  ),
  command('more that exclude each other', ['train', '--detach', '--wait'], '--detach and --wait exclude each other'),
  command('nothing to go on with', ['train', '--resume'], 'There is no run in ', 'cada train'),
  command('chains of no iteration', ['chains'], "required option '--iteration <n>'"),
  command(
    'chains of an iteration that is none',
    ['chains', '--iteration', 'two'],
    'A number is needed, or one of warmStart, before, afterWarmStart, after',
  ),
  command(
    'a limit that is none',
    ['chains', '--iteration', '1', '--limit', '-3'],
    'A whole number is needed, 0 or more',
  ),
  command(
    'a kind of request that is none',
    ['chains', '--iteration', '1', '--kind', 'evil'],
    '"evil" is no kind of request',
    'harmful, plain, look-alike',
  ),
  command('a dataset into no folder', ['export', 'dataset', 'demo'], "required option '--out <folder>'"),
  command('a dataset of an unknown run', ['export', 'dataset', 'nobody', '--out', 'x'], 'There is no run'),
  command(
    'a config of a dataset that is none',
    ['export', 'dataset', '--out', 'x', '--only', 'dpo'],
    'Allowed choices are sft, preference',
  ),
  command(
    'chains of a dataset that are none',
    ['export', 'dataset', '--out', 'x', '--include', 'some'],
    'Allowed choices are chosen, all',
  ),
  command('a dataset into a folder that is full', ['export', 'dataset', '--out', 'docs'], 'docs is not empty', '--out'),
  command(
    'a dataset in place of a file',
    ['export', 'dataset', '--out', 'package.json'],
    'package.json is a file, not a folder',
  ),
  command('a worker of no kind', ['worker'], "required option '--kind <kind>'"),
  command('a worker of an unknown kind', ['worker', '--kind', 'tpu'], 'Allowed choices are control, gpu, judge'),
  command('an empty request', ['try', '  '], 'The request is empty', 'Write it in quotes'),
  command('no request', ['try'], "missing required argument 'request'"),
  command('a request of an unknown run', ['ask', 'nobody', 'Hello?'], 'There is no run'),
  command('nothing to clean', ['clean'], 'Nothing is named to be removed', '`cada runs`'),
  command('an unknown run to clean', ['clean', 'nobody'], 'There is no run "nobody"'),
  command('a run to clean that climbs', ['clean', '../..'], 'There is no run "../.."'),
  command('an unknown run to watch', ['watch', 'nobody'], 'There is no run'),
  command('an unknown run to audit', ['audit', 'nobody'], 'There is no run'),
  command('an approval without a name', ['approve', 'x', '--why', 'good'], "required option '--by <name>'"),
  command('an approval without a reason', ['approve', 'x', '--by', 'Ann'], "required option '--why <text>'"),
  command('an empty reason', ['reject', 'x', '--by', 'Ann', '--why', ' '], '--why must be a text that says the reason'),
  command(
    'a reason longer than a payload has room for',
    ['approve', 'x', '--by', 'Ann', '--why', '語'.repeat(267)],
    '--why has 801 bytes, more than 800',
    'shorten it',
  ),
  command(
    'a reason that a terminal obeys',
    ['reject', 'x', '--by', 'Ann', '--why', 'no \u001b[2J'],
    '--why holds control characters',
  ),
  command('an empty name', ['approve', 'x', '--by', ' ', '--why', 'good'], '--by must be a name of 1 to 100'),
  command(
    'a name of two lines',
    ['pause', '--by', 'a\nb'],
    '--by must be a name on one line, without control characters',
  ),
  command('an approval of an unknown run', ['approve', 'nobody', '--by', 'Ann', '--why', 'good'], 'There is no run'),
  command('an unknown run to verify', ['verify', 'nobody'], 'There is no run'),
  command(
    'a store that is none',
    ['runs', '--store', 'ftp://host'],
    '"ftp://host" is not a store address',
    'Use s3://',
  ),
  command('a plan of a configuration that is not there', ['train', '--plan', 'no.yaml'], 'there is no such file'),
  command('a plan of nothing', ['plan', 'no.yaml'], 'there is no such file', '`cada init`'),
  command('an unknown option of plan', ['plan', '--wrong'], "unknown option '--wrong'"),
  command('a configuration to write into no folder', ['init', 'nowhere/run.yaml'], 'There is no folder nowhere'),
];

/** A store in which the record of the run `demo` is this text. */
function record(name: string, args: string[], text: string, ...says: Says): BadInput {
  return {
    name: `${args[0]}: ${name}`,
    input: async (folder) => {
      const path = join(folder, 'store', 'runs', 'demo', 'run.json');
      await saveRun(await openStore(join(folder, 'store')), 'demo', {});
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
      return () => run(args, folder);
    },
    says: [/^exit code [23]\n/, 'run.json', ...says],
  };
}

const damaged: [name: string, text: string, says: string | RegExp][] = [
  ['a record cut off', '{"runId":"demo","rec', 'is not valid JSON'],
  ['a record that is null', 'null', 'is not the record of a run'],
  ['a record that is a list', '[]', 'is not the record of a run'],
  [
    'a record of nothing',
    '{"runId":"demo","savedAt":"2026-01-01T00:00:00Z","record":{}}',
    'is not the record of a run',
  ],
];

export const runRecords: BadInput[] = ['status', 'report', 'chains --iteration 1', 'ask', 'watch', 'pause'].flatMap(
  (line) =>
    damaged.map(([name, text, says]) => {
      const [verb, ...options] = line.split(' ') as [string, ...string[]];
      return record(
        name,
        [verb, 'demo', ...options, ...(verb === 'ask' ? ['Hello?'] : [])],
        text,
        says,
        'Delete it, or restore it',
      );
    }),
);
