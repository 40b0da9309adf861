/** JSON Lines files of the library, checked line by line. */
import type { z } from 'zod';
import { LibraryError } from './libraryError.ts';

export interface ParsedLine<T> {
  value: T;
  place: { file: string; line: number };
}

/**
 * Parses a JSON Lines file (blank lines are passed over) against a schema and checks that ids differ.
 * @throws LibraryError naming file and line.
 */
export function parseLines<T extends { id: string }>(file: string, text: string, schema: z.ZodType<T>): ParsedLine<T>[] {
  const seen = new Map<string, number>();
  return text.split(/\r?\n/).flatMap((content, index) => {
    if (content.trim() === '') return [];
    const place = { file, line: index + 1 };
    const value = parseLine(content, schema, place);
    const earlier = seen.get(value.id);
    if (earlier !== undefined) {
      throw new LibraryError(place, `id "${value.id}" is already that of line ${earlier}`, 'Give every line an id of its own.');
    }
    seen.set(value.id, place.line);
    return [{ value, place }];
  });
}

function parseLine<T>(content: string, schema: z.ZodType<T>, place: { file: string; line: number }): T {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (error) {
    throw new LibraryError(place, `is not JSON (${(error as Error).message})`, 'Write one JSON object a line.');
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw new LibraryError(place, describeIssues(result.error), 'Correct the field; library/README.md lists them.');
}

/** What zod found wrong, field by field. */
export function describeIssues(error: z.ZodError): string {
  return error.issues
    .map((issue) => (issue.path.length > 0 ? `field "${issue.path.join('.')}": ${issue.message}` : issue.message))
    .join('; ');
}
