import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readBenchmarks } from '../../cli/operate/benchmarkFiles.ts';

const xstest = 'id,prompt,type,label\n1,One,homonyms,safe\n2,Two,contrast_homonyms,unsafe\n';
let folder: string;
let notes: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-benchmarks-'));
  notes = [];
});
afterEach(() => vi.unstubAllEnvs());
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

  test('one that can not be had is left out, saying what to do', async () => {
    // Nothing listens there: every download fails at once.
    for (const name of ['HTTPS_PROXY', 'https_proxy']) vi.stubEnv(name, 'http://127.0.0.1:9');
    for (const name of ['NO_PROXY', 'no_proxy']) vi.stubEnv(name, '');
    expect(await read(['xstest'])).toEqual({});
    expect(notes).toEqual([expect.stringMatching(/^XSTest could not be had .*CADA_DATA: xstest\/xstest_prompts\.csv/)]);
  });

  test('asks for nothing that is not configured', async () => {
    expect(await read([])).toEqual({});
  });
});
