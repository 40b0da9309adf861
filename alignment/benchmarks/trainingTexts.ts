/** Requests of a training file of one's own, in any of the formats that data sets come in: for holding them against benchmarks. */
import { z } from 'zod';
import { rowsOfCsv, rowsOfJson, rowsOfJsonLines } from './readRows.ts';

/** The columns that hold what is asked, the first that a row has. */
export const requestColumns = [
  'request',
  'question',
  'prompt',
  'instruction',
  'goal',
  'behavior',
  'forbidden_prompt',
  'prompts_final',
  'input',
  'text',
] as const;

/**
 * @param path decides the format: `.csv`, `.tsv`, `.json` (a list), anything else is JSON Lines.
 * @returns ids: those of the file (`id`, `requestId`), else the row's number from 0.
 * @throws Error naming row and column.
 */
export function trainingTexts(path: string, content: string): { id: string; text: string }[] {
  const row = z.record(z.string(), z.unknown());
  const extension = path.toLowerCase().split('.').at(-1);
  const rows =
    extension === 'csv' || extension === 'tsv'
      ? rowsOfCsv(content, row, extension === 'tsv' ? '\t' : ',')
      : extension === 'json'
        ? rowsOfJson(content, row)
        : rowsOfJsonLines(content, row);
  return rows.map((one, index) => {
    const text = requestColumns.map((column) => one[column]).find((value) => typeof value === 'string' && value.trim());
    if (typeof text !== 'string')
      throw new Error(`row ${index + 1}: none of the columns ${requestColumns.join(', ')} holds a text`);
    const id = one['id'] ?? one['requestId'];
    return { id: typeof id === 'string' || typeof id === 'number' ? String(id) : String(index), text };
  });
}
