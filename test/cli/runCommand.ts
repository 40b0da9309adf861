/** Runs programs of ours as a user's shell would: a real process, pipes for its output. */
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Called once it is started. */
  onStart?: (kill: (signal: NodeJS.Signals) => void) => void;
  /** Sees standard output as it comes, all of it so far, and may signal the process. */
  onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
  /** Sees standard error as it comes, all of it so far. */
  onRemark?: (text: string) => void;
}

export const newFolder = (): string => mkdtempSync(join(tmpdir(), 'cada-cli-'));

/** `cada ...` in a folder of its own, with CADA_HOME and CADA_CACHE in it. */
export function cada(args: string[], options: RunOptions = {}): Promise<Ended> {
  return runNode([resolve('cli/cada.js'), ...args], options);
}

/** The command with a scripted run. */
export function scripted(scenario: string, args: string[], options: RunOptions = {}): Promise<Ended> {
  return runNode([resolve('test/cli/fixtures/scriptedRun.ts'), scenario, ...args], options);
}

export function runNode(args: string[], options: RunOptions): Promise<Ended> {
  const cwd = options.cwd ?? newFolder();
  // What the tests themselves were started by (`npm test`) is not what the command is started by.
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(CADA_|TEMPORAL_|AWS_|npm_)/.test(name)),
  );
  const env = {
    ...inherited,
    CADA_HOME: join(cwd, '.cada'),
    CADA_CACHE: join(cwd, 'cache'),
    NO_COLOR: '1',
    ...options.env,
  };
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  options.onStart?.((signal) => child.kill(signal));
  const ended: Ended = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text;
    options.onOutput?.(ended.stdout, (signal) => child.kill(signal));
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text;
    options.onRemark?.(ended.stderr);
  });
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done({ ...ended, code }));
  });
}
