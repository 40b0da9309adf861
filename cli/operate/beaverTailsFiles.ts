/** Reads BeaverTails as it is published: JSON Lines, also as .gz (its 30k splits) or .xz (330k), or Parquet. */
import { readFile, stat } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { parseRow, type BeaverTailsRow } from '../../alignment/library/beaverTails/rows.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { badInput, CliError } from '../errors.ts';

/** Of a file, and of what a packed one holds: the whole of 330k_train is 170 MB, and no text of Node has more than 536 million characters. */
const mostBytes = 500e6;

export interface ReadRows {
  rows: BeaverTailsRow[];
  /** Of the file as it is. */
  sha256: string;
}

/** @throws CliError naming file, line (or row) and field; no text of a row is quoted. */
export async function readBeaverTails(file: string): Promise<ReadRows> {
  let bytes: Buffer;
  try {
    if ((await stat(file)).size > mostBytes) throw tooLarge(file, 'has');
    bytes = await readFile(file);
  } catch (error) {
    if (error instanceof CliError) throw error;
    const gone = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw badInput(gone ? `There is no file ${file}.` : `${file} can not be read: ${(error as Error).message}.`);
  }
  const rows = file.endsWith('.parquet') ? await parquetRows(file, bytes) : await jsonRows(file, bytes);
  if (rows.length === 0) throw badInput(`${file} holds no rows.`);
  return { rows, sha256: sha256(bytes) };
}

async function jsonRows(file: string, bytes: Buffer): Promise<BeaverTailsRow[]> {
  if (!/\.jsonl?(\.gz|\.xz)?$/.test(file)) {
    throw badInput(
      `${file} is none of .jsonl, .jsonl.gz, .jsonl.xz and .parquet.`,
      'BeaverTails is published in these.',
    );
  }
  const text = (await unpacked(file, bytes)).toString('utf8');
  return text.split(/\r?\n/).flatMap((line, index) => {
    if (line.trim() === '') return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw notAsPublished(`${file}, line ${index + 1}: is not JSON`);
    }
    return [rowOf(value, `${file}, line ${index + 1}`)];
  });
}

async function unpacked(file: string, bytes: Buffer): Promise<Buffer> {
  try {
    if (file.endsWith('.gz')) return gunzipSync(bytes, { maxOutputLength: mostBytes });
    return file.endsWith('.xz') ? await unpackedXz(file, bytes) : bytes;
  } catch (error) {
    if (error instanceof CliError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(file, 'unpacks to');
    throw badInput(`${file} can not be unpacked: ${(error as Error).message}.`, 'Fetch it again.');
  }
}

async function unpackedXz(file: string, bytes: Buffer): Promise<Buffer> {
  // CommonJS, whose names Node can't tell.
  const { XzReadableStream } = (await import('xz-decompress')).default;
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of new XzReadableStream(new Blob([new Uint8Array(bytes)]).stream())) {
    if ((size += part.length) > mostBytes) throw tooLarge(file, 'unpacks to');
    parts.push(part);
  }
  return Buffer.concat(parts, size);
}

async function parquetRows(file: string, bytes: Buffer): Promise<BeaverTailsRow[]> {
  const { parquetReadObjects } = await import('hyparquet');
  let rows: Record<string, unknown>[];
  try {
    // A copy that is its own memory: a small Buffer is part of a larger one.
    rows = await parquetReadObjects({ file: new Uint8Array(bytes).buffer });
  } catch (error) {
    throw badInput(`${file} is no Parquet file that can be read: ${(error as Error).message}.`, 'Fetch it again.');
  }
  return rows.map((row, index) => rowOf(row, `${file}, row ${index + 1}`));
}

function rowOf(value: unknown, place: string): BeaverTailsRow {
  try {
    return parseRow(value);
  } catch (error) {
    throw notAsPublished(`${place}: ${(error as Error).message}`);
  }
}

const tooLarge = (file: string, what: string): CliError =>
  badInput(
    `${file} ${what} more than ${mostBytes / 1e6} MB.`,
    'Give a part of it: several files may be given, each with some of the lines (`split -l 100000`).',
  );

const notAsPublished = (problem: string): CliError =>
  badInput(`${problem}.`, 'A row of BeaverTails has prompt, response, is_safe, and category with 14 true or false.');
