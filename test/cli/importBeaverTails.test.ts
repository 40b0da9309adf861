import { constants } from 'node:buffer';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { beforeEach, describe, expect, test } from 'vitest';
import { nativeHazard, beaverTailsCategories } from '../../alignment/library/beaverTails/categories.ts';
import { publishedSplit } from '../../alignment/library/beaverTails/publishedFiles.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { readBeaverTails } from '../../cli/operate/beaverTailsFiles.ts';
import { endpointClassifier } from '../../cli/operate/endpointClassifier.ts';
import { importBeaverTails, type ImportRequest, type ImportResult } from '../../cli/operate/importBeaverTails.ts';
import { checkRequests } from '../../cli/operate/inputChecks.ts';
import { readLibraryFiles } from '../../cli/operate/libraryFiles.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';
import { startChatServer } from '../servers/chatServer.ts';
import { beaverTailsRow, type PublishedRow } from './beaverTailsRows.ts';
import { cada } from './runCommand.ts';

/** Ten prompts about hats, one about keys, two of no hazard, one safe; one of the ten twice. */
const rows: PublishedRow[] = [
  ...Array.from({ length: 10 }, (_, index) =>
    beaverTailsRow(`Knit hat number ${index}`, 'hate_speech,offensive_language'),
  ),
  beaverTailsRow('  knit HAT   number 3 ', 'hate_speech,offensive_language'),
  beaverTailsRow('Find my keys', 'non_violent_unethical_behavior', 'privacy_violation'),
  beaverTailsRow('Discuss the weather', 'controversial_topics,politics'),
  beaverTailsRow('Argue about soup', 'non_violent_unethical_behavior'),
  beaverTailsRow('Boil an egg'),
];

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'cada-import-'))));

const written = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
const jsonl = (all: readonly object[]): string => all.map((row) => `${JSON.stringify(row)}\n`).join('');

const imported = (files: string[], out: string, more: Partial<ImportRequest> = {}) =>
  importBeaverTails({ files, out: join(folder, out), rows: 12, perHazard: 8, seed: 7, ...more }, () => {});

const libraryOf = async (out: string) => parseLibrary(await readLibraryFiles({ path: join(folder, out) }));
const contents = (out: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(join(folder, out), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.\w+$/.test(path))
      .map((path) => [path, readFileSync(join(folder, out, path), 'utf8')]),
  );

test('every category of BeaverTails has its hazard; of several the narrow one is told', async () => {
  const library = parseLibrary(await readLibraryFiles(undefined));
  const hazards = new Set(library.codes.detailed.flatMap(({ category }) => category ?? []));
  expect(beaverTailsCategories).toHaveLength(14);
  for (const name of beaverTailsCategories) {
    const hazard = nativeHazard({ [name]: true });
    expect(hazard === 'other' || hazards.has(hazard)).toBe(true);
  }
  expect(nativeHazard({ 'violence,aiding_and_abetting,incitement': true, self_harm: true })).toBe(
    'suicide-and-self-harm',
  );
  expect(nativeHazard({ non_violent_unethical_behavior: true })).toBe('other');
  expect(nativeHazard({})).toBe('other');
});

test('a file that is larger than a text can be is told before it is read; so is one that unpacks to as much', async () => {
  const most = 500e6;
  expect(most).toBeLessThan(constants.MAX_STRING_LENGTH);
  for (const name of ['large.jsonl', 'large.parquet']) {
    const file = written(name, '');
    // Without content on the disk.
    truncateSync(file, most + 1);
    await expect(readBeaverTails(file)).rejects.toThrow(`${file} has more than 500 MB.`);
    rmSync(file);
  }
  const million = gzipSync(Buffer.alloc(1e6, '\n'));
  const packed = written('large.jsonl.gz', Buffer.concat(Array<Buffer>(501).fill(million)));
  await expect(readBeaverTails(packed)).rejects.toThrow(`${packed} unpacks to more than 500 MB.`);
});

test('a published file is known by its digest alone', () => {
  expect(publishedSplit('12f04c9200000929ebbc616c29cb53331f6df36e7341d73e4a12cffac0eb1c08')).toBe('330k_train');
  expect(publishedSplit('constructor')).toBeUndefined();
});

describe('a library of BeaverTails', () => {
  test('has training requests to the number asked for, repeated where a hazard is short, and others for evaluation', async () => {
    const result = await imported([written('train.jsonl', jsonl(rows))], 'made');
    expect(result).toMatchObject({ unsafeRows: 14, prompts: 13, training: 12, leftOut: { other: 2 } });
    // Ten hats: two held out, two for development, six of six; one pair of keys, six times.
    expect(result.counts.filter(({ prompts }) => prompts > 0)).toEqual([
      { hazard: 'hate', prompts: 10, different: 6, training: 6 },
      { hazard: 'privacy', prompts: 1, different: 1, training: 6 },
    ]);
    const library = await libraryOf('made');
    const harmful = (split: 'training' | 'development' | 'heldOut') =>
      library.requests[split].filter(({ label }) => label === 'harmful');
    expect([harmful('training').length, harmful('development').length, harmful('heldOut').length]).toEqual([12, 2, 2]);
    const texts = [...harmful('training'), ...harmful('development'), ...harmful('heldOut')].map(
      ({ request }) => request,
    );
    expect(new Set(texts).size).toBe(11);
    const keys = harmful('training').filter(({ category }) => category === 'privacy');
    expect(keys.map(({ id, repeatOf }) => [id.split('-privacy-')[1], repeatOf !== undefined])).toEqual([
      ['001', false],
      ...[2, 3, 4, 5, 6].map((time) => [`001-time-${time}`, true]),
    ]);
    // What the shipped library has beside them, and a run that wants them all.
    const shipped = parseLibrary(await readLibraryFiles(undefined));
    expect(library.cases).toEqual(shipped.cases);
    expect(library.codes).toEqual(shipped.codes);
    const settings = configurationSchema.parse({
      name: 'paper',
      warmStart: { requests: { harmful: 12, plain: 0, lookAlike: 0 } },
      iteration: { requests: { harmful: 4, plain: 0, lookAlike: 0 } },
      evaluation: { requests: { harmful: 2, plain: 8, lookAlike: 8 }, probe: { harmful: 2, plain: 2, lookAlike: 2 } },
    });
    expect(() => checkRequests(settings, library)).not.toThrow();
    expect(() =>
      checkRequests(
        { ...settings, warmStart: { ...settings.warmStart, requests: { harmful: 13, plain: 0, lookAlike: 0 } } },
        library,
      ),
    ).toThrow('requests/training.jsonl');
  });

  test('is the same from JSON Lines, .gz, .xz and Parquet, in any order of the rows, and another by another seed', async () => {
    const text = jsonl(rows);
    await imported([written('a.jsonl', text)], 'a');
    await imported([written('b.jsonl.gz', gzipSync(text))], 'b');
    // Of jsonl(rows), by xz: Node packs none.
    await imported([resolve('test/cli/fixtures/beaverTails.jsonl.xz')], 'g');
    await imported([written('c.jsonl', jsonl(rows.toReversed()))], 'c');
    await imported([written('d.parquet', parquetOf(rows))], 'd');
    const parts = [written('one.jsonl', jsonl(rows.slice(0, 5))), written('two.jsonl', jsonl(rows.slice(5)))];
    await imported(parts, 'e');
    const requests = (out: string) => Object.entries(contents(out)).filter(([path]) => path.startsWith('requests'));
    const canonical = (out: string) =>
      requests(out).map(([path, lines]) => [path, lines.toLowerCase().replaceAll(/ +/g, ' ').replaceAll(' "', '"')]);
    for (const out of ['b', 'd', 'e', 'g']) expect(requests(out)).toEqual(requests('a'));
    // A prompt that stands twice is told in the words of its first row.
    expect(canonical('c')).toEqual(canonical('a'));
    await imported([join(folder, 'a.jsonl')], 'f', { seed: 8 });
    expect(requests('f')).not.toEqual(requests('a'));
  });

  test('has a card with source, licence, counts and digest, and no prompt', async () => {
    const { inputs } = await imported([written('train.jsonl', jsonl(rows))], 'made');
    const card = readFileSync(join(folder, 'made', 'README.md'), 'utf8');
    for (const said of [
      'PKU-Alignment/BeaverTails',
      'CC BY-NC 4.0',
      `| train.jsonl | 15 | ${inputs[0]!.sha256} | not as it is |`,
      '| privacy | 1 | 1 | 6 |',
      '2 other',
    ])
      expect(card).toContain(said);
    expect(card).not.toContain('hat number');
  });

  test('leaves nothing behind where it fails', async () => {
    await expect(imported([written('safe.jsonl', jsonl([rows.at(-1)!]))], 'made')).rejects.toThrow(
      'None of the rows is unsafe',
    );
    await expect(imported([written('other.jsonl', jsonl(rows.slice(12, 14)))], 'made')).rejects.toThrow(
      'about any of the hazards',
    );
    expect(existsSync(join(folder, 'made'))).toBe(false);
  });
});

test('a repeat must be of a request of its file that has the same text', async () => {
  const files = await readLibraryFiles(undefined);
  const [first] = files['requests/training.jsonl']!.split('\n');
  const original = JSON.parse(first!) as { id: string };
  const repeated = (changes: object) =>
    parseLibrary({
      ...files,
      'requests/training.jsonl': `${files['requests/training.jsonl']!}${JSON.stringify({ ...original, id: 'again', repeatOf: original.id, ...changes })}\n`,
    });
  expect(repeated({}).requests.training.at(-1)).toMatchObject({ id: 'again', repeatOf: original.id });
  expect(() => repeated({ request: 'Another text' })).toThrow('no such request with the same text');
  expect(() => repeated({ repeatOf: 'again' })).toThrow('no such request with the same text');
  expect(() => repeated({ repeatOf: undefined })).toThrow('is in requests/training.jsonl:1 already');
});

describe('hazards told by an endpoint', () => {
  const told = (prompt: string): string =>
    prompt.includes('hat number') ? 'elections' : prompt.includes('keys') ? 'other' : 'safe';

  test('are asked for once: its replies are kept, and what is said twice wrongly is counted', async () => {
    const broken = 'Argue about soup';
    const server = await startChatServer((_index, { text, body }) =>
      text.includes(broken) ? 'no JSON' : `{"category": "${told(body.messages.at(-1)!.content.toLowerCase())}"}`,
    );
    try {
      const store = await openStore(`file://${folder}/store`);
      const more = { classifier: endpointClassifier({ url: server.url, model: 'sorter' }, store) };
      const file = written('train.jsonl', jsonl(rows));
      const result = await imported([file], 'made', more);
      expect(result.counts.filter(({ prompts }) => prompts > 0)).toEqual([
        { hazard: 'elections', prompts: 10, different: 6, training: 8 },
      ]);
      expect(result.leftOut).toEqual({ other: 1, safe: 1, unreadable: 1 });
      // Thirteen prompts, one of them twice.
      expect(server.seen).toHaveLength(14);
      expect(server.seen[0]!.body.temperature).toBe(0);
      expect(JSON.stringify(server.seen[0]!.body.response_format)).toContain('cbrne-weapons');
      await imported([file], 'again', more);
      expect(server.seen).toHaveLength(14);
      expect(contents('again')).toEqual(contents('made'));
      expect(contents('made')['README.md']).toContain('told by the model sorter');
      expect(contents('made')['README.md']).not.toContain(server.url);
    } finally {
      await server.close();
    }
  });

  test('keep to the budget, and say what to do where it is spent or nothing can be read', async () => {
    const server = await startChatServer(() => 'I would rather not');
    try {
      const store = await openStore(`file://${folder}/store`);
      const classifier = { url: server.url, model: 'sorter' };
      const file = written('train.jsonl', jsonl(rows));
      await expect(
        imported([file], 'made', { classifier: endpointClassifier({ ...classifier, maxCalls: 3 }, store) }),
      ).rejects.toThrow('budget of 3 calls is spent');
      await expect(imported([file], 'made', { classifier: endpointClassifier(classifier, store) })).rejects.toThrow(
        '13 of 13 replies',
      );
      expect(existsSync(join(folder, 'made'))).toBe(false);
    } finally {
      await server.close();
    }
  });
});

describe('hazards told by a guard model', { timeout: 300_000 }, () => {
  test('are those of the real engine; what it has said is not asked for again', async () => {
    await writeTinyChainModel(join(folder, 'guard'), { layerScale: 0.2, headNoise: 0.2 });
    writeFileSync(join(folder, 'guard.yaml'), 'source: guard\ncalibrated: false\n');
    const file = written('train.jsonl', jsonl(rows));
    const classify = (out: string, model: string) =>
      cada(
        [
          'library',
          'import',
          'beavertails',
          file,
          '--out',
          out,
          '--rows',
          '12',
          '--classify',
          `guard:${model}`,
          '--json',
        ],
        { cwd: folder },
      );
    const first = await classify('made', 'guard');
    expect(first.code, first.stderr).toBe(0);
    // Thirteen prompts, and once none at all.
    expect(first.stderr).toContain('13 of 13 prompts told (14 asked, 0 known)');
    const result = JSON.parse(first.stdout) as ImportResult;
    const told = result.counts.reduce((sum, { prompts }) => sum + prompts, 0);
    const left = Object.values(result.leftOut).reduce((sum, count) => sum + count, 0);
    expect([told + left, result.leftOut.unreadable]).toEqual([13, 0]);
    expect(result.classifier).toMatch(/^the guard model guard \([0-9a-f]{8}\)$/);
    expect(contents('made')['README.md']).toContain(`told by ${result.classifier}`);
    const second = await classify('again', 'guard');
    expect(second.stderr).toContain('13 of 13 prompts told (0 asked, 14 known)');
    expect(contents('again')).toEqual(contents('made'));
    // Other settings are other questions.
    const uncalibrated = await classify('plain', 'guard.yaml');
    expect(uncalibrated.stderr).toContain('(13 asked, 0 known)');
    const hazards = (out: string) => contents(out)['requests/training.jsonl'];
    expect(hazards('plain')).not.toEqual(hazards('made'));
  });
});

test('the command says licence and counts', async () => {
  const file = written('train.jsonl', jsonl(rows));
  const args = ['library', 'import', 'beavertails', file, '--out', 'made', '--rows', '12', '--per-hazard', '8'];
  const { code, stdout, stderr } = await cada(args, { cwd: folder });
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stderr).toContain('CC BY-NC 4.0');
  expect(stdout).toMatch(/privacy +1 +1 +6/);
  expect(stdout).toContain('12 harmful training requests; left out: 2 other');
  expect(existsSync(join(folder, 'made', 'requests', 'training.jsonl'))).toBe(true);
});

test('prompts that a benchmark asks too are left out before any is chosen, and counted', async () => {
  const file = written('train.jsonl', jsonl(rows));
  mkdirSync(join(folder, 'data', 'advbench'), { recursive: true });
  // One with a word more, and none of the rest.
  const goals = ['Please find my keys!', 'Paint a fence'];
  writeFileSync(
    join(folder, 'data/advbench/advbench.csv'),
    ['goal,target', ...goals.map((goal) => `${goal},Sure`)].join('\n'),
  );
  const args = ['library', 'import', 'beavertails', file, '--rows', '12', '--per-hazard', '8', '--out'];
  const run = (...more: string[]) =>
    cada([...args, ...more], { cwd: folder, env: { CADA_DATA: join(folder, 'data') } });
  const { code, stdout, stderr } = await run('made', '--decontaminate', 'advbench');
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stdout).toContain('left out: 2 other, 1 questions of advbench');
  const requests = Object.values((await libraryOf('made')).requests).flat();
  expect(requests.filter(({ request }) => /my keys/i.test(request))).toEqual([]);
  expect(requests.filter(({ request }) => /hat number/i.test(request))).not.toEqual([]);
  expect(contents('made')['README.md']).toContain(
    "repeat a benchmark's question, exactly, nearly or in part (1 of advbench)",
  );
  const wrong = await run('other', '--decontaminate', 'advbnch');
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain('advbench');
});

/** As the hub's own conversion has it: `category` is a group of 14 columns. */
function parquetOf(all: readonly PublishedRow[]): Uint8Array {
  const column = (name: string, type: 'BOOLEAN' | 'BYTE_ARRAY') => ({
    ...{ name, type, repetition_type: 'OPTIONAL' as const },
    ...(type === 'BYTE_ARRAY' ? { converted_type: 'UTF8' as const } : {}),
  });
  const buffer = parquetWriteBuffer({
    columnData: (['prompt', 'response', 'category', 'is_safe'] as const).map((name) => ({
      name,
      data: all.map((row) => row[name]),
    })),
    schema: [
      { name: 'schema', num_children: 4 },
      ...[column('prompt', 'BYTE_ARRAY'), column('response', 'BYTE_ARRAY')],
      { name: 'category', repetition_type: 'OPTIONAL', num_children: 14 },
      ...beaverTailsCategories.map((name) => column(name, 'BOOLEAN')),
      column('is_safe', 'BOOLEAN'),
    ],
  });
  return new Uint8Array(buffer);
}
