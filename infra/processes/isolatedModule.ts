/**
 * Somebody's module, run in a Node process of its own: no files, no environment, no child processes or threads (Node's permission model; the network is
 * not shut off), bounded time and memory. It cannot hang or crash its caller.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { WATCHED } from './supervisedChild.ts';

export interface IsolatedModuleOptions {
  /** Text of an ES module of one file; it may import Node's own modules. */
  code: string;
  /** Types are taken out first. */
  typescript: boolean;
  /** Longest time of one call, and of loading. */
  timeoutMs: number;
  memoryMegabytes: number;
  /** After so many deaths of the process (time, memory, exit) it is not started again. */
  mostDeaths: number;
}

/** Why a call has no answer; the message says it in words. */
export class IsolatedModuleError extends Error {
  override readonly name = 'IsolatedModuleError';
}

export interface IsolatedModule {
  /** Calls the default export, or the export `reward`. @throws IsolatedModuleError */
  call(argument: object): Promise<unknown>;
  /** What the module exports beside it, once a call has been answered. */
  readonly exported: { range?: [number, number] };
  close(): void;
}

/** Runs in the child: answers each `{id, argument}` with `{id, value}` or `{id, error}`. What is no plain value is told by its type. */
const child = `
const say = process.send.bind(process);
const text = (error) => String(error?.message ?? error).slice(0, 500);
process.once('message', async ({ url }) => {
  try {
    const module = await import(url);
    const call = module.default ?? module.reward;
    if (typeof call !== 'function') throw new Error('it exports no function: write \`export default function (chain) { ... }\`');
    const range = Array.isArray(module.range) && module.range.length === 2 && module.range.every(Number.isFinite) ? module.range : undefined;
    if (module.range !== undefined && !range) throw new Error('its export range is not [lowest, highest]');
    process.on('message', async ({ id, argument }) => {
      try {
        const value = await call(argument);
        const plain = value === undefined || value === null || ['number', 'string', 'boolean'].includes(typeof value);
        say({ id, value: plain ? value : { type: typeof value } });
      } catch (error) { say({ id, error: 'it threw: ' + text(error) }); }
    });
    say({ ready: true, range });
  } catch (error) { say({ failed: 'it can not be loaded: ' + text(error) }); }
});
process.once('disconnect', () => process.exit());
`;

interface Message {
  id?: number;
  value?: unknown;
  error?: string;
  ready?: true;
  range?: [number, number];
  failed?: string;
}

export function openIsolatedModule(options: IsolatedModuleOptions): IsolatedModule {
  const { timeoutMs, memoryMegabytes, mostDeaths } = options;
  const exported: IsolatedModule['exported'] = {};
  let running: ChildProcess | undefined;
  let deaths = 0;
  let lastCause = '';
  let calls = 0;

  /** Sends one message and waits for what answers it; a process that is too slow, too large or gone is a death. */
  function exchange(worker: ChildProcess, message: object, answers: (reply: Message) => boolean): Promise<Message> {
    return new Promise((resolve, reject) => {
      let cause: string | undefined;
      const kill = (why: string): void => {
        cause ??= why;
        endGroup(worker);
      };
      const timer = setTimeout(() => kill(`it took more than ${timeoutMs / 1000} s`), timeoutMs);
      const watch = setInterval(() => {
        void residentMegabytes(worker.pid).then((size) => {
          // The process itself, without any data, has about 60 MB.
          if (size > memoryMegabytes + 100) kill(`it took more than ${memoryMegabytes} MB`);
        });
      }, 100);
      const done = (): void => {
        clearTimeout(timer);
        clearInterval(watch);
        worker.off('message', onMessage);
        worker.off('exit', onExit);
        worker.off('error', onExit);
      };
      const onMessage = (reply: unknown): void => {
        if (!answers(reply as Message)) return;
        done();
        resolve(reply as Message);
      };
      const onExit = (): void => {
        done();
        deaths += 1;
        if (running === worker) running = undefined;
        // V8 aborts where its heap is full.
        const outOfMemory =
          worker.signalCode === 'SIGABRT' || worker.signalCode === 'SIGTRAP' || worker.exitCode === 134;
        const ended = outOfMemory ? `it took more than ${memoryMegabytes} MB` : 'its process ended';
        lastCause = cause ?? ended;
        reject(new IsolatedModuleError(lastCause));
      };
      worker.on('message', onMessage);
      worker.on('exit', onExit);
      worker.on('error', onExit);
      if (!worker.connected) onExit();
      else worker.send(message);
    });
  }

  async function start(): Promise<ChildProcess> {
    if (running) return running;
    if (deaths >= mostDeaths) throw new IsolatedModuleError(lastCause);
    const url = `data:text/javascript;base64,${Buffer.from(codeOf(options)).toString('base64')}`;
    const worker = spawn(
      '/bin/sh',
      ['-c', WATCHED, 'cada-module', process.execPath, ...nodeOptions(memoryMegabytes), '--eval', child],
      // No environment: keys and addresses are none of its business.
      {
        env: { CADA_GRACE_SECONDS: '0' },
        cwd: tmpdir(),
        stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
        serialization: 'advanced',
        detached: true,
      },
    );
    worker.stdin?.on('error', () => {});
    worker.once('exit', () => {
      endGroup(worker);
      if (running === worker) running = undefined;
    });
    running = worker;
    const isReady = ({ ready, failed }: Message): boolean => ready === true || failed !== undefined;
    const { failed, range } = await exchange(worker, { url }, isReady);
    if (failed !== undefined) {
      // It would fail again.
      deaths = mostDeaths;
      lastCause = failed;
      running = undefined;
      endGroup(worker);
      throw new IsolatedModuleError(failed);
    }
    if (range) exported.range = range;
    return worker;
  }

  return {
    exported,
    async call(argument) {
      const worker = await start();
      const id = ++calls;
      const { value, error } = await exchange(worker, { id, argument }, (reply) => reply.id === id);
      if (error !== undefined) throw new IsolatedModuleError(error);
      return value;
    },
    close() {
      if (running) endGroup(running);
    },
  };
}

const nodeOptions = (memoryMegabytes: number): string[] => [
  ...['--permission', '--no-warnings', '--input-type=module'],
  `--max-old-space-size=${memoryMegabytes}`,
];

/** The process and what watches over it. */
function endGroup(worker: ChildProcess): void {
  worker.stdin?.destroy();
  try {
    if (worker.pid) process.kill(-worker.pid, 'SIGKILL');
  } catch {
    // Nothing of the group is left.
  }
}

function codeOf({ code, typescript }: IsolatedModuleOptions): string {
  if (!typescript) return code;
  try {
    return stripTypeScriptTypes(code);
  } catch (error) {
    throw new IsolatedModuleError(`it can not be loaded: ${(error as Error).message}`, { cause: error });
  }
}

/** Of a process, where Linux tells it; else 0: then its heap alone is bounded. */
async function residentMegabytes(pid: number | undefined): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) / 1024;
}
