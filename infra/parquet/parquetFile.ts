/** Parquet files on this machine, written row by row: a file may hold more than fits into memory. */
import { fileWriter, parquetWriteRows, type SchemaElement } from 'hyparquet-writer';

export interface ParquetColumn {
  name: string;
  /** The column's part of the schema, its own element first. */
  elements: SchemaElement[];
}

/** Rows that are kept in memory until they are written together. */
const rowsTogether = 1000;

/**
 * Writes the rows in their order; the same rows give the same bytes.
 * @returns how many they were.
 */
export async function writeParquet(
  file: string,
  columns: readonly ParquetColumn[],
  rows: AsyncIterable<Record<string, unknown>>,
): Promise<number> {
  let count = 0;
  async function* counted(): AsyncGenerator<Record<string, unknown>> {
    for await (const row of rows) {
      count += 1;
      yield row;
    }
  }
  await parquetWriteRows({
    writer: fileWriter(file),
    columns: columns.map(({ name }) => ({ name })),
    schema: [{ name: 'schema', num_children: columns.length }, ...columns.flatMap(({ elements }) => elements)],
    rows: counted(),
    rowGroupSize: rowsTogether,
    createdBy: 'cada',
  });
  return count;
}

type Presence = 'REQUIRED' | 'OPTIONAL';

const text = (name: string, repetition_type: Presence): SchemaElement => ({
  ...{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' }, repetition_type },
});

const column = (element: SchemaElement, ...below: SchemaElement[]): ParquetColumn => ({
  name: element.name,
  elements: [element, ...below],
});

/** Columns without `OPTIONAL` hold no null. */
export const textColumn = (name: string, presence: Presence = 'REQUIRED'): ParquetColumn =>
  column(text(name, presence));

/** 32 bits. */
export const integerColumn = (name: string, presence: Presence = 'REQUIRED'): ParquetColumn =>
  column({ name, type: 'INT32', repetition_type: presence });

export const numberColumn = (name: string, presence: Presence = 'REQUIRED'): ParquetColumn =>
  column({ name, type: 'DOUBLE', repetition_type: presence });

export const booleanColumn = (name: string, presence: Presence = 'REQUIRED'): ParquetColumn =>
  column({ name, type: 'BOOLEAN', repetition_type: presence });

/** An object with a number, or null, under each of these names. */
export const numbersColumn = (name: string, names: readonly string[]): ParquetColumn =>
  column(
    { name, num_children: names.length, repetition_type: 'REQUIRED' },
    ...names.map((part): SchemaElement => ({ name: part, type: 'DOUBLE', repetition_type: 'OPTIONAL' })),
  );

/** A list of `{ role, content }`. */
export const messagesColumn = (name: string): ParquetColumn =>
  column(
    { name, num_children: 1, converted_type: 'LIST', logical_type: { type: 'LIST' }, repetition_type: 'REQUIRED' },
    { name: 'list', num_children: 1, repetition_type: 'REPEATED' },
    { name: 'element', num_children: 2, repetition_type: 'REQUIRED' },
    text('role', 'REQUIRED'),
    text('content', 'REQUIRED'),
  );
