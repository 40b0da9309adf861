import { canonicalJson } from './canonicalJson.ts';
import { DocumentCorruptError } from './errors.ts';

/** The text a document is stored as. A trailing newline makes it pleasant to read in a terminal. */
export function documentText(value: unknown): string {
  return `${canonicalJson(value)}\n`;
}

/** @throws DocumentCorruptError */
export function parseDocument(text: string, uri: string, etag: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new DocumentCorruptError(uri, etag, (error as Error).message);
  }
}
