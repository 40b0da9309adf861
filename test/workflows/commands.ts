/** `cada` commands as real processes that go on: workers of a cluster, `cada watch`. */
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { eventually } from '../servers/temporalServer.ts';

export interface RunningCommand {
  pid: number;
  /** Standard output and standard error so far. */
  output(): string;
  until(text: string, timeoutMs?: number): Promise<void>;
  ended: Promise<number | null>;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** @param env what differs from this process's environment. */
export function startCommand(args: string[], env: NodeJS.ProcessEnv, logFile?: string): RunningCommand {
  const child = spawn(process.execPath, [resolve('cli/cada.js'), ...args], {
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const log = logFile === undefined ? undefined : createWriteStream(logFile, { flags: 'a' });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      log?.write(text);
    });
  }
  const ended = new Promise<number | null>((done) => child.once('close', done));
  return {
    pid: child.pid!,
    output: () => output,
    until: (text, timeoutMs = 60_000) =>
      eventually(
        `"${text}" from cada ${args.join(' ')}; it said: ${output.slice(-2000)}`,
        () => output.includes(text),
        timeoutMs,
      ),
    ended,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    },
  };
}

/** Workers as `cada worker` starts them, ready; their logs, which hold the ledger, go to `logFolder`. */
export async function startWorkers(
  kinds: readonly ('control' | 'gpu' | 'judge')[],
  env: NodeJS.ProcessEnv,
  logFolder: string,
): Promise<RunningCommand[]> {
  mkdirSync(logFolder, { recursive: true });
  const workers = kinds.map((kind, index) =>
    startCommand(['worker', '--kind', kind], env, join(logFolder, `worker-${kind}-${index}.log`)),
  );
  for (const worker of workers) await worker.until('worker ready');
  return workers;
}
