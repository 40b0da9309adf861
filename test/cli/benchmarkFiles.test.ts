import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readBenchmarks } from '../../cli/operate/benchmarkFiles.ts';

const xstest = 'id,prompt,type,label\n1,One,homonyms,safe\n2,Two,contrast_homonyms,unsafe\n';
let folder: string;
let notes: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-benchmarks-'));
  notes = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
}
const read = (names: ('xstest' | 'jailbreakbench')[]) =>
  readBenchmarks(names, { data: join(folder, 'data'), cache: join(folder, 'cache') }, (line) => notes.push(line));

describe('readBenchmarks', () => {
  test('takes the copy in the data folder, else the one in the cache', async () => {
    await write('cache/data/xstest/xstest_prompts.csv', xstest.replace('One', 'cached'));
    expect((await read(['xstest']))['benchmarks/xstest.jsonl']).toContain('"cached"');
    await write('data/xstest/xstest_prompts.csv', xstest);
    const files = await read(['xstest']);
    expect(Object.keys(files)).toEqual(['benchmarks/xstest.jsonl']);
    expect(files['benchmarks/xstest.jsonl']!.trim().split('\n')).toHaveLength(2);
    expect(notes).toEqual([]);
  });

  test('a file that is another is refused by name', async () => {
    await write('data/xstest/xstest_prompts.csv', '<html>');
    await expect(read(['xstest'])).rejects.toThrow(/xstest_prompts\.csv is not XSTest as it was published/);
  });

  test('asks for nothing that is not configured', async () => {
    expect(await read([])).toEqual({});
  });
});
