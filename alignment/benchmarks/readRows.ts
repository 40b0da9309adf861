/** Rows of the files that benchmarks are published as: CSV, TSV, JSON, JSON Lines. Errors name row and column. */
import { parse } from 'csv-parse/sync';
import { z } from 'zod';

/** Text that is there: trimmed, not empty. */
export const text = z.string().trim().min(1, 'is empty');

/**
 * Rows of a CSV (or, with `delimiter`, TSV) file with a header. Column names are compared in lower case: copies differ in that.
 * @throws Error naming row and column.
 */
export function rowsOfCsv<T>(csv: string, schema: z.ZodType<T>, delimiter = ','): T[] {
  const rows: unknown[] = parse(csv, {
    bom: true,
    delimiter,
    columns: (names: string[]) => names.map((name) => name.trim().toLowerCase()),
    skip_empty_lines: true,
    // As the readers that data sets name for their tab-separated files do: a field may be quoted whole, and elsewhere a quote is a quote.
    ...(delimiter === '\t' ? { relax_quotes: true } : {}),
  });
  return checked(rows, schema);
}

/** Rows of a CSV file without a header, as arrays of text. */
export function cellsOfCsv(csv: string): string[][] {
  const rows: string[][] = parse(csv, { bom: true, skip_empty_lines: true, relax_column_count: true });
  if (rows.length === 0) throw new Error('holds no rows');
  return rows;
}

/** @throws Error naming the line and field. */
export function rowsOfJsonLines<T>(lines: string, schema: z.ZodType<T>): T[] {
  const rows = lines
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line, index): unknown => {
      try {
        return JSON.parse(line);
      } catch (error) {
        throw new Error(`line ${index + 1} is not JSON`, { cause: error });
      }
    });
  return checked(rows, schema);
}

/** @throws Error naming the row and field. */
export function rowsOfJson<T>(json: string, schema: z.ZodType<T>, listOf = (value: unknown): unknown => value): T[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new Error('is not JSON', { cause: error });
  }
  const rows = listOf(value);
  if (!Array.isArray(rows)) throw new Error('holds no list of rows');
  return checked(rows, schema);
}

function checked<T>(rows: readonly unknown[], schema: z.ZodType<T>): T[] {
  if (rows.length === 0) throw new Error('holds no rows');
  return rows.map((row, index) => {
    const result = schema.safeParse(row);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    throw new Error(`row ${index + 1}, column "${issue!.path.join('.')}": ${issue!.message}`);
  });
}
