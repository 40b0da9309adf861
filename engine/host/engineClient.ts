import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SuffixEngine } from '../attack/suffixRequest.ts';
import type { DeviceUse, EngineSettings, OnProgress, PolicyEngine } from '../policy.ts';
import { EngineError } from '../policy.ts';
import type { CallMessage, ReplyMessage, VerbArgument, VerbName, VerbResult } from './messages.ts';

export interface EngineOptions {
  /** Environment of the engine's process. @default the parent's */
  env?: NodeJS.ProcessEnv;
  /** The process' output is appended here. */
  logFile?: string;
  /** Called whenever the process ends, for whatever reason. */
  onExit?: (exit: EngineExit) => void;
}

export interface EngineExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Its last output to standard error. */
  errorTail: string;
}

/** A policy engine in a process of its own. */
export interface HostedEngine extends PolicyEngine, SuffixEngine {
  /** Ends the process at once; running calls reject with 'crashed'. The next call starts a new process. */
  kill(): void;
  /** Process id, while it runs. */
  pid(): number | undefined;
}

interface PendingCall {
  resolve: (result: unknown) => void;
  reject: (error: EngineError) => void;
  onProgress: OnProgress | undefined;
}

interface RunningProcess {
  child: ChildProcess;
  pending: Map<number, PendingCall>;
  killed: boolean;
}

const ERROR_TAIL_CHARACTERS = 4000;

/**
 * An engine whose process starts with the first call. If it dies, its calls reject with EngineError('crashed') or ('outOfMemory'), and the next call
 * starts another one. It does not keep the parent alive between calls, and ends when the parent does.
 */
export function startEngine(settings: EngineSettings, options: EngineOptions = {}): HostedEngine {
  let running: RunningProcess | undefined;
  let calls = 0;
  let peakMemoryBytes = 0;
  let device: DeviceUse | undefined;

  function call<Name extends VerbName>(
    verb: Name,
    argument: VerbArgument<Name>,
    onProgress?: OnProgress,
  ): Promise<VerbResult<Name>> {
    running ??= start();
    const { child, pending } = running;
    const message: CallMessage = { call: ++calls, verb, argument };
    return new Promise((resolve, reject) => {
      pending.set(message.call, { resolve: resolve as (result: unknown) => void, reject, onProgress });
      keepParentAlive(child, true);
      // A failure to send means that the process is ending: its end rejects the call.
      child.send(message, () => undefined);
    });
  }

  function start(): RunningProcess {
    const child = fork(entryPath(), [JSON.stringify(settings)], {
      serialization: 'advanced',
      execArgv: [],
      env: options.env ?? process.env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const process_: RunningProcess = { child, pending: new Map(), killed: false };
    let errorTail = '';
    if (options.logFile) {
      mkdirSync(dirname(options.logFile), { recursive: true });
      const log = createWriteStream(options.logFile, { flags: 'a' });
      child.stdout!.pipe(log, { end: false });
      child.stderr!.pipe(log, { end: false });
      child.on('close', () => log.end());
    } else child.stdout!.resume();
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      errorTail = (errorTail + text).slice(-ERROR_TAIL_CHARACTERS);
    });
    child.on('message', (message: ReplyMessage) => {
      if ('peakMemoryBytes' in message) peakMemoryBytes = Math.max(peakMemoryBytes, message.peakMemoryBytes);
      if ('device' in message) device = message.device;
      settle(process_, message);
    });
    child.on('error', (error) => (errorTail += error.message));
    child.on('close', (code, signal) => {
      if (running === process_) running = undefined;
      const exit = { code, signal, errorTail: errorTail.trim() };
      const error = exitError(exit, process_.killed);
      for (const { reject } of process_.pending.values()) reject(error);
      process_.pending.clear();
      options.onExit?.(exit);
    });
    return process_;
  }

  function kill(): void {
    if (!running) return;
    running.killed = true;
    running.child.kill('SIGKILL');
    running = undefined;
  }

  return {
    describe: (model) => call('describe', model),
    sample: (request, onProgress) => call('sample', request, onProgress),
    logProbs: (request, onProgress) => call('logProbs', request, onProgress),
    embed: (request, onProgress) => call('embed', request, onProgress),
    gradients: (request, onProgress) => call('gradients', request, onProgress),
    update: (request) => call('update', request),
    searchSuffix: (request, onProgress) => call('searchSuffix', request, onProgress),
    createAdapter: (request) => call('createAdapter', request),
    exportMerged: (request, onProgress) => call('exportMerged', request, onProgress),
    peakMemoryBytes: () => Promise.resolve(peakMemoryBytes),
    deviceUse: () => device,
    kill,
    pid: () => running?.child.pid,
    async close() {
      const child = running?.child;
      if (!child) return;
      const closed = new Promise((resolve) => child.once('close', resolve));
      keepParentAlive(child, true);
      kill();
      await closed;
    },
  };
}

function settle({ child, pending }: RunningProcess, message: ReplyMessage): void {
  const waiting = pending.get(message.call);
  if (!waiting) return;
  if ('progress' in message) {
    waiting.onProgress?.(message.progress);
    return;
  }
  pending.delete(message.call);
  if (pending.size === 0) keepParentAlive(child, false);
  if ('result' in message) {
    waiting.resolve(message.result);
    return;
  }
  const { kind, message: text, stack } = message.error;
  waiting.reject(new EngineError(kind, text, stack ? { cause: stack } : undefined));
}

/** Why the calls of a process that ended failed. */
export function exitError({ code, signal, errorTail }: EngineExit, killed: boolean): EngineError {
  if (killed) return new EngineError('crashed', 'the engine was stopped');
  const how = signal ? `was ended by ${signal}` : `ended with code ${code}`;
  const said = errorTail ? `; it said: ${errorTail}` : '';
  if (/bad_alloc|out of memory|allocation failed|cannot allocate memory/i.test(errorTail))
    return new EngineError('outOfMemory', `the engine's process ran out of memory (${how})${said}`);
  const guess = signal === 'SIGKILL' ? ' (by hand, or by the system for want of memory)' : '';
  return new EngineError('crashed', `the engine's process ${how}${guess}${said}`);
}

/** Only a process with calls to answer keeps the parent's event loop running. */
function keepParentAlive(child: ChildProcess, keep: boolean): void {
  const handles = [child, child.channel, child.stdout, child.stderr] as (
    { ref?: () => void; unref?: () => void } | null | undefined
  )[];
  for (const handle of handles)
    if (keep) handle?.ref?.();
    else handle?.unref?.();
}

/** The process' program lies beside this file, in TypeScript or compiled. */
function entryPath(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return fileURLToPath(new URL(`./engineProcess.${extension}`, import.meta.url));
}
