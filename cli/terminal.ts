/** Text on its way to a terminal. Whatever a model or a dataset wrote is escaped first: it could move the cursor, retitle the window or hide lines. */
import Table from 'cli-table3';
import { escapeForTerminal } from '../infra/logging/escape.ts';

/** Each line of a text behind a margin. */
export function indent(text: string, margin = '  '): string {
  return text.replace(/^/gm, margin);
}

const FRAME_PARTS = [
  ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
  ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
] as const;
const NO_FRAME = Object.fromEntries(FRAME_PARTS.map((part) => [part, '']));

/** A table without frames, columns two spaces apart; no colours of its own, so that it pipes well. */
export function plainTable(head: string[], rows: string[][], right: number[] = []): string {
  const table = new Table({
    head,
    chars: NO_FRAME,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    colAligns: head.map((_, column) => (right.includes(column) ? 'right' : 'left')),
  });
  table.push(...rows.map((row) => row.map(escapeForTerminal)));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** Texts side by side in columns that fit the width. */
export function sideBySide(columns: { title: string; text: string }[], width: number): string {
  const columnWidth = Math.max(24, Math.floor((width - 1) / columns.length) - 1);
  const table = new Table({
    head: columns.map(({ title }) => title),
    colWidths: columns.map(() => columnWidth),
    wordWrap: true,
    wrapOnWordBoundary: true,
    style: { head: [], border: [] },
  });
  table.push(columns.map(({ text }) => escapeForTerminal(text)));
  return table.toString();
}
