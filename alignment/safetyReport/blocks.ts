/** A document as plain values, written as Markdown and as HTML by renderSafetyReport.ts. Texts in it are unescaped. */

export type Block =
  | { kind: 'text'; text: string }
  | { kind: 'list'; items: string[] }
  | { kind: 'table'; head: string[]; rows: string[][] }
  | { kind: 'code'; text: string };

export interface Section {
  title: string;
  blocks: Block[];
}

export const text = (words: string): Block => ({ kind: 'text', text: words });

/** A list; nothing where it is empty. */
export const list = (items: readonly string[]): Block[] =>
  items.length > 0 ? [{ kind: 'list', items: [...items] }] : [];

/** A table; the words where it has no row. */
export const table = (head: string[], rows: string[][], otherwise: string): Block =>
  rows.length > 0 ? { kind: 'table', head, rows } : text(otherwise);
