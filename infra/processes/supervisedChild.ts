import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { accessSync, closeSync, constants, fstatSync, mkdirSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface ChildSpec {
  /** Shown in errors: "gpu worker 1", "Temporal server". */
  name: string;
  command: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Standard output and standard error are appended here by the child itself, so nothing is lost when we die. Folders are made. */
  logFile: string;
  /** Time between SIGTERM and SIGKILL. @default 10_000 */
  graceMs?: number;
  /** Opens an IPC channel (`process.send` in the child) for children that are Node programs. */
  onMessage?: (message: unknown) => void;
}

export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** Something that `stopAll` can stop. */
export interface Stoppable {
  readonly name: string;
  stop(): Promise<unknown>;
}

export interface SupervisedChild extends Stoppable {
  readonly pid: number;
  /** Settles when the child has ended, whatever the reason; never rejects. */
  readonly exited: Promise<ChildExit>;
  readonly running: boolean;
  /** SIGTERM, then after the grace time SIGKILL to its whole process group. Harmless when it has ended. */
  stop(): Promise<ChildExit>;
  kill(signal: NodeJS.Signals): void;
  /** The end of what it has logged, for error messages. */
  logTail(lines?: number): Promise<string>;
}

/**
 * A watcher beside the program, in the program's process group: it waits for the end of file on standard input,
 * which comes when the parent ends in any way (SIGKILL too), then sends SIGTERM and, after the grace time, SIGKILL
 * to the group. The program itself takes over the shell's process (`exec`), so its pid and signals are direct, and
 * a program whose event loop is blocked in native code is ended all the same.
 */
export const WATCHED = `
exec 9<&0
( exec 3<&- >/dev/null 2>&1
  while read -r _; do :; done <&9
  kill -TERM $$
  i=0; while [ $i -lt "$CADA_GRACE_SECONDS" ] && kill -0 $$; do sleep 1; i=$((i+1)); done
  kill -KILL -$$ ) &
exec 9<&-
unset CADA_GRACE_SECONDS
exec "$@"
`;

const DEFAULT_GRACE_MS = 10_000;

/**
 * Starts a program in its own process group and session, so that Ctrl-C in the terminal reaches only us and we choose the order
 * of stopping. It ends when we end, however we end.
 *
 * @throws Error when the program can not be started.
 */
export async function startChild(spec: ChildSpec): Promise<SupervisedChild> {
  const graceMs = spec.graceMs ?? DEFAULT_GRACE_MS;
  // The shell would only say so in the log.
  if (spec.command.includes('/')) {
    try {
      accessSync(spec.command, constants.X_OK);
    } catch (error) {
      throw new Error(`${spec.name} could not be started: ${spec.command} is missing or not executable`, {
        cause: error,
      });
    }
  }
  mkdirSync(dirname(spec.logFile), { recursive: true });
  const log = openSync(spec.logFile, 'a');
  const logStart = fstatSync(log).size;
  let child: ChildProcess;
  try {
    child = spawn('/bin/sh', ['-c', WATCHED, 'cada-child', spec.command, ...spec.args], {
      cwd: spec.cwd,
      env: { ...(spec.env ?? process.env), CADA_GRACE_SECONDS: String(Math.ceil(graceMs / 1000)) },
      stdio: ['pipe', log, log, ...(spec.onMessage ? (['ipc'] as const) : [])],
      detached: true,
    });
  } finally {
    closeSync(log);
  }
  if (spec.onMessage) child.on('message', spec.onMessage);
  // The other end closes first when the child dies; that is no error of ours.
  child.stdin?.on('error', () => {});

  const exited = new Promise<ChildExit>((resolve) => {
    child.once('exit', (code, signal) => {
      child.stdin?.destroy();
      // Sweep what the child leaves behind: the watcher, and grandchildren that did not notice.
      signalGroup(child.pid, 'SIGKILL');
      resolve({ code, signal });
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) =>
      reject(new Error(`${spec.name} could not be started: ${error.message}`, { cause: error })),
    );
  });
  const pid = child.pid as number;
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;

  return {
    name: spec.name,
    pid,
    exited,
    get running() {
      return !ended();
    },
    kill: (signal) => {
      if (!ended()) child.kill(signal);
    },
    stop: async () => {
      if (ended()) return await exited;
      child.kill('SIGTERM');
      const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), graceMs);
      try {
        return await exited;
      } finally {
        clearTimeout(timer);
      }
    },
    logTail: (lines = 15) => readTail(spec.logFile, lines, logStart),
  };
}

/**
 * Stops groups one after the other (engines, then workers, then the server), the members of a group at once.
 * A member that fails to stop does not keep the rest from being stopped; its error is thrown at the end.
 */
export async function stopAll(groups: Stoppable[][]): Promise<void> {
  const errors: unknown[] = [];
  for (const group of groups) {
    const results = await Promise.allSettled(group.map((member) => member.stop()));
    for (const result of results) if (result.status === 'rejected') errors.push(result.reason);
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} processes could not be stopped`);
}

/**
 * For our own entry points that are started with standard input as a pipe which nobody writes to: calls `end` once when that
 * pipe closes, that is, when the parent has ended. Does not keep the process alive.
 */
export function onParentExit(end: () => void): void {
  process.stdin.once('end', end);
  process.stdin.once('error', end);
  process.stdin.resume();
  // A pipe's handle has unref; a terminal's or file's may not.
  (process.stdin as { unref?: () => void }).unref?.();
}

const TAIL_BYTES = 65_536;

/**
 * The last lines of a file from `start` (bytes) on, looking at no more than its last 64 KiB; empty when there is none. The line in which a program in Go
 * names its panic or fatal error stands above them where the stack behind it is longer.
 */
async function readTail(file: string, count: number, start: number): Promise<string> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (!handle) return '';
  try {
    const { size } = await handle.stat();
    const position = Math.max(start, size - TAIL_BYTES);
    const length = Math.max(0, size - position);
    const { buffer } = await handle.read({ buffer: Buffer.alloc(length), position });
    const lines = buffer.toString('utf8').trimEnd().split('\n');
    const panic = lines.slice(0, -count).findLast((line) => /^(panic|fatal error): /.test(line));
    return [...(panic === undefined ? [] : [panic, '...']), ...lines.slice(-count)].join('\n');
  } finally {
    await handle.close();
  }
}

function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid) process.kill(-pid, signal);
  } catch {
    // No process of the group is left.
  }
}
