import colors from 'picocolors';
import { escapeForTerminal } from './escape.ts';

const PAINT: Record<string, (text: string) => string> = {
  warn: colors.yellow,
  error: colors.red,
  fatal: colors.red,
  debug: colors.dim,
  trace: colors.dim,
};

/**
 * One JSON log line as a line for people: `12:03:04 warn  gpu worker: shard redone (attempt=2 shard=7)`, then an error's stack.
 * Everything that comes from the record is escaped. A line that is no JSON is passed on, escaped.
 */
export function humanLine(json: string): string {
  let record: Record<string, unknown>;
  try {
    record = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return `${escapeForTerminal(json.trimEnd())}\n`;
  }
  const { level = 'info', time, pid: _pid, process: name, msg = '', err, error = err, ...fields } = record;
  const clock = typeof time === 'string' ? new Date(time).toTimeString().slice(0, 8) : '';
  const paint = PAINT[String(level)] ?? ((text: string) => text);
  const extras = Object.entries(fields).map(
    ([field, value]) => `${field}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const message = escapeForTerminal(`${name ? `${String(name)}: ` : ''}${String(msg)}`);
  const tail = extras.length ? colors.dim(` (${escapeForTerminal(extras.join(' '))})`) : '';
  return `${colors.dim(clock)} ${paint(String(level).padEnd(5))} ${message}${tail}\n${stackOf(error)}`;
}

function stackOf(error: unknown): string {
  if (typeof error !== 'object' || error === null)
    return error === undefined ? '' : `  ${escapeForTerminal(String(error))}\n`;
  const { stack, message } = error as { stack?: unknown; message?: unknown };
  const text = String(stack ?? message ?? JSON.stringify(error));
  return `${escapeForTerminal(text).replace(/^/gm, '  ')}\n`;
}
