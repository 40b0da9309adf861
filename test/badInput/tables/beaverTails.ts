/** Files of BeaverTails that are not as published, given to `cada library import`. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { BadInput } from '../badInput.ts';
import { beaverTailsRow } from '../../cli/beaverTailsRows.ts';
import { run } from './commandLine.ts';

type Says = (string | RegExp)[];

const good = beaverTailsRow('How do I bake bread?', 'privacy_violation');
const { category: _category, ...uncategorised } = good;
const { is_safe: _safe, ...unlabelled } = good;
const { self_harm: _selfHarm, ...thirteen } = good.category;
const lines = (...rows: unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

function file(name: string, path: string, content: string | Buffer, ...says: Says): BadInput {
  return {
    name: `BeaverTails: ${name}`,
    input: async (folder) => {
      await writeFile(join(folder, path), content);
      return () => run(['library', 'import', 'beavertails', join(folder, path), '--out', join(folder, 'out')], folder);
    },
    says: [/^exit code 2\n/, path, ...says],
  };
}

function flags(name: string, args: string[], ...says: Says): BadInput {
  return {
    name: `BeaverTails: ${name}`,
    input: async (folder) => {
      await writeFile(join(folder, 'rows.jsonl'), lines(good));
      await mkdir(join(folder, 'full'));
      await writeFile(join(folder, 'full', 'note.txt'), 'mine');
      await writeFile(join(folder, 'guard.yaml'), 'source: a/b\nthreshold: 0.5\n');
      await writeFile(join(folder, 'instruction.yaml'), 'source: a/b\ninstruction: Sort {request}\n');
      const placed = args.map((one) => one.replace('FOLDER', folder));
      return () => run(['library', 'import', ...placed], folder);
    },
    says: [/^exit code 2\n/, ...says],
  };
}

const rows = 'FOLDER/rows.jsonl';

export const beaverTailsFiles: BadInput[] = [
  file('a line that is not JSON', 'rows.jsonl', `${lines(good)}{"prompt":\n`, 'line 2: is not JSON'),
  file('a row without category', 'rows.jsonl', lines(good, good, uncategorised), 'line 3', 'field "category"'),
  file('a row without label', 'rows.jsonl', lines(unlabelled), 'line 1', 'field "is_safe"'),
  file('a label that is a text', 'rows.jsonl', lines({ ...good, is_safe: 'false' }), 'line 1', 'field "is_safe"'),
  file('thirteen categories', 'rows.jsonl', lines({ ...good, category: thirteen }), '"category.self_harm"'),
  file('an unknown category', 'rows.jsonl', lines({ ...good, category: { ...good.category, x: true } }), '"x"'),
  file('an empty prompt', 'rows.jsonl', lines({ ...good, prompt: ' ' }), 'line 1', 'field "prompt"'),
  file('a list for a row', 'rows.jsonl', '[]\n', 'line 1', 'expected object'),
  file('no rows', 'rows.jsonl', '\n', 'holds no rows'),
  file('an error page', 'rows.jsonl', '<!doctype html>\n', 'line 1: is not JSON'),
  file('another kind of file', 'rows.csv', 'prompt\n', '.jsonl, .jsonl.gz, .jsonl.xz and .parquet'),
  file('an .xz that is none', 'rows.jsonl.xz', lines(good), 'can not be unpacked'),
  file('a .gz that is none', 'rows.jsonl.gz', lines(good), 'can not be unpacked'),
  file('a .gz cut off', 'rows.jsonl.gz', gzipSync(lines(good)).subarray(0, 40), 'can not be unpacked'),
  file('a .parquet that is none', 'rows.parquet', lines(good), 'no Parquet file'),
  file('an empty .parquet', 'rows.parquet', '', 'no Parquet file'),
  file('a Git LFS pointer', 'rows.parquet', 'version https://git-lfs.github.com/spec/v1\n', 'no Parquet file'),
  flags('another dataset', ['other', rows, '--out', 'FOLDER/out'], 'no importer of "other"'),
  flags('a file that is not there', ['beavertails', 'FOLDER/gone.jsonl', '--out', 'FOLDER/out'], 'There is no file'),
  flags('a folder that is not empty', ['beavertails', rows, '--out', 'FOLDER/full'], 'is not empty'),
  flags('no folder', ['beavertails', rows], '--out'),
  flags('no files', ['beavertails', '--out', 'FOLDER/out'], 'files'),
  ...(
    [
      ['a guard without a model', ['guard:'], 'names no model'],
      ['a guard model that is not there', ['guard:FOLDER/none.yaml'], 'none.yaml cannot be read'],
      ['a guard model of other settings', ['guard:FOLDER/guard.yaml'], /guard.yaml: .*threshold/],
      ['a guard model without a request', ['guard:FOLDER/instruction.yaml'], /instruction: has to have \{categories\}/],
      ['a guard model beside an address', ['guard:m', '--url', 'http://c/v1'], '--url: of --classify endpoint alone'],
      ['an unknown classifier', ['people'], 'Nothing classifies by "people"'],
      ['an endpoint without address', ['endpoint', '--model', 'm'], 'Give both --url and --model'],
      ['an endpoint at no address', ['endpoint', '--model', 'm', '--url', 'ftp://x'], '--url ftp://x'],
      ['an address with a key in it', ['endpoint', '--model', 'm', '--url', 'http://a:b@c/v1'], 'without user name'],
      ['an address beside the native way', ['native', '--url', 'http://c/v1'], '--url: of --classify endpoint alone'],
    ] as const
  ).map(([name, how, said]) => flags(name, ['beavertails', rows, '--out', 'FOLDER/out', '--classify', ...how], said)),
];
