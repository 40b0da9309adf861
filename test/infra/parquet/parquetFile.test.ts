import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { expect, test } from 'vitest';
import {
  booleanColumn,
  integerColumn,
  messagesColumn,
  numberColumn,
  numbersColumn,
  textColumn,
  writeParquet,
} from '../../../infra/parquet/parquetFile.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-parquet-'));
const columns = [
  textColumn('text'),
  textColumn('note', 'OPTIONAL'),
  integerColumn('count'),
  numberColumn('reward', 'OPTIONAL'),
  numbersColumn('parts', ['format', 'own/short']),
  booleanColumn('refused', 'OPTIONAL'),
  messagesColumn('prompt'),
];

const row = (index: number) => ({
  text: `row ${index} – 名前 🙂\n"quoted", \u0000`,
  note: index % 3 === 0 ? null : '',
  count: index - 5,
  reward: index % 4 === 0 ? null : index / 8,
  parts: { format: index % 2, 'own/short': index % 5 === 0 ? null : -0.5 },
  refused: [true, false, null][index % 3],
  prompt: Array.from({ length: index % 3 }, (_, turn) => ({
    role: turn % 2 === 0 ? 'user' : 'assistant',
    content: turn === 0 ? '' : `turn ${turn} of ${index}`,
  })),
});

async function* rows(count: number) {
  for (let index = 0; index < count; index++) yield await Promise.resolve(row(index));
}

async function readBack(file: string) {
  const bytes = await asyncBufferFromFile(file);
  return { metadata: await parquetMetadataAsync(bytes), rows: await parquetReadObjects({ file: bytes }) };
}

test('what was written is read back, over more than one group of rows', async () => {
  const file = join(folder, 'many.parquet');
  expect(await writeParquet(file, columns, rows(2345))).toBe(2345);
  const { metadata, rows: found } = await readBack(file);
  expect(metadata.row_groups.map(({ num_rows }) => Number(num_rows))).toEqual([1000, 1000, 345]);
  expect(found).toEqual(Array.from({ length: 2345 }, (_, index) => row(index)));
});

test('the same rows give the same bytes', async () => {
  const files = ['one', 'other'].map((name) => join(folder, `${name}.parquet`));
  for (const file of files) await writeParquet(file, columns, rows(50));
  const [one, other] = files.map((file) => readFileSync(file));
  expect(one!.equals(other!)).toBe(true);
});

test('a file without rows has its columns', async () => {
  const file = join(folder, 'none.parquet');
  expect(await writeParquet(file, columns, rows(0))).toBe(0);
  const { metadata, rows: found } = await readBack(file);
  expect(found).toEqual([]);
  expect(metadata.schema.map(({ name }) => name)).toContain('reward');
});

test('a failure of the rows is the failure of the writing', async () => {
  async function* failing() {
    yield* rows(3);
    throw new Error('the store is gone');
  }
  await expect(writeParquet(join(folder, 'failed.parquet'), columns, failing())).rejects.toThrow('the store is gone');
});
