import { Writable } from 'node:stream';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Logger, StreamEntry } from 'pino';
import { destination, multistream, pino, stdSerializers, stdTimeFunctions } from 'pino';
import { humanLine } from './humanLine.ts';
import { redactFields, valueRedactor } from './redaction.ts';

export type { Logger } from 'pino';
export { escapeForTerminal } from './escape.ts';

export interface LogOptions {
  /** The process's name: "gpu worker", "cli". In every line. */
  name: string;
  /** JSON lines are appended here; folders are made. */
  file?: string;
  /**
   * What goes to standard error: `human` lines, `json` lines or nothing.
   * @default human on a terminal, else json; nothing when there is a file and no terminal
   */
  console?: 'human' | 'json' | 'none';
  /** @default CADA_LOG_LEVEL, else info */
  level?: string;
  env?: NodeJS.ProcessEnv;
  /** Standard error, or what stands for it in tests. */
  stderr?: NodeJS.WritableStream & { isTTY?: boolean };
}

/**
 * The one logger of a process. Writing is synchronous, so that the last lines before a crash are there. Secrets are left out by field
 * name and, wherever they occur, by the values of secret environment variables.
 *
 * @throws Error when the level is none of pino's, or the file can not be opened.
 */
export function openLog(options: LogOptions): Logger {
  const { name, file, env = process.env, stderr = process.stderr } = options;
  const level = options.level ?? (env.CADA_LOG_LEVEL || 'info');
  if (!(level in pino.levels.values) && level !== 'silent') {
    throw new Error(
      `"${level}" is not a log level (CADA_LOG_LEVEL): use ${Object.keys(pino.levels.values).join(', ')} or silent`,
    );
  }
  const shown = options.console ?? (stderr.isTTY ? 'human' : file ? 'none' : 'json');
  const streams: StreamEntry[] = [];
  if (file) {
    mkdirSync(dirname(file), { recursive: true });
    streams.push({ level: 'trace', stream: destination({ dest: file, append: true, sync: true }) });
  }
  if (shown === 'json')
    streams.push({ level: 'trace', stream: stderr === process.stderr ? destination({ dest: 2, sync: true }) : stderr });
  if (shown === 'human') streams.push({ level: 'trace', stream: humanStream(stderr) });

  return pino(
    {
      level,
      base: { process: name, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      serializers: { err: stdSerializers.errWithCause, error: stdSerializers.errWithCause },
      formatters: { level: (label) => ({ level: label }), log: redactFields },
      hooks: { streamWrite: valueRedactor(env) },
    },
    multistream(streams),
  );
}

/** Rewrites pino's JSON lines for people. */
function humanStream(target: NodeJS.WritableStream): Writable {
  return new Writable({
    write(chunk: Buffer | string, _encoding, done) {
      target.write(humanLine(chunk.toString()));
      done();
    },
  });
}
