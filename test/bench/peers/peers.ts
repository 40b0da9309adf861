/** The peers: where they are installed, how they are installed, and the one that is running. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { llamaModel, exportedFolder } from '../models.ts';
import type { BenchModel } from '../models.ts';
import { PeerProcess } from './peerProcess.ts';

export type PeerName = 'transformers' | 'peft' | 'trl' | 'llama.cpp';

const llamaVersion = '3.22.1';
const scripts = { transformers: 'transformers_generate.py', peft: 'peft_train.py', trl: 'trl_step.py' };

export class Peers {
  private readonly python: string | undefined;
  private readonly llamaModule: string | undefined;
  private readonly threads: number;
  private running: { name: PeerName; process: PeerProcess } | undefined;

  /** Finds what is installed. @param wanted false: no peers at all */
  constructor(folder: string, threads: number, wanted: boolean) {
    const [python, llama] = [pythonOf(folder), llamaModuleOf(folder)];
    this.python = wanted && existsSync(python) ? python : undefined;
    this.llamaModule = wanted && existsSync(llama) ? llama : undefined;
    this.threads = threads;
  }

  has(name: PeerName): boolean {
    return (name === 'llama.cpp' ? this.llamaModule : this.python) !== undefined;
  }

  /** The peer, started if need be; any other is ended first, so that one at most holds memory. Undefined where it is not installed. */
  async open(name: PeerName, model: BenchModel, args: readonly string[] = []): Promise<PeerProcess | undefined> {
    if (!this.has(name)) return undefined;
    if (this.running?.name === name) return this.running.process;
    await this.close();
    const process = await this.start(name, model, args);
    this.running = { name, process };
    return process;
  }

  async close(): Promise<void> {
    await this.running?.process.close();
    this.running = undefined;
  }

  private async start(name: PeerName, model: BenchModel, args: readonly string[]): Promise<PeerProcess> {
    const here = import.meta.dirname;
    const threads = String(this.threads);
    if (name === 'llama.cpp') {
      const module = pathToFileURL(this.llamaModule!).href;
      return PeerProcess.start(name, process.execPath, [
        join(here, 'llamaServer.ts'),
        module,
        await llamaModel(model),
        threads,
      ]);
    }
    return PeerProcess.start(name, this.python!, [
      join(here, scripts[name]),
      await exportedFolder(model),
      threads,
      ...args,
    ]);
  }
}

/** `CADA_BENCH_PYTHON` names an interpreter that has the packages already. */
const pythonOf = (folder: string): string => process.env.CADA_BENCH_PYTHON ?? join(folder, 'python', 'bin', 'python');
const llamaModuleOf = (folder: string): string =>
  join(folder, 'llama', 'node_modules', 'node-llama-cpp', 'dist', 'index.js');

/** Installs what is missing: a Python venv (about 6 GB) and node-llama-cpp with its prebuilt library. Throws if an installer fails. */
export async function installPeers(folder: string, say: (line: string) => void): Promise<void> {
  const python = pythonOf(folder);
  if (!existsSync(python)) {
    say('peers: a Python venv with torch, transformers, peft and trl (about 6 GB, some minutes)');
    const venv = join(folder, 'python');
    try {
      run('python3', ['-m', 'venv', venv]);
      run(python, ['-m', 'pip', 'install', '--quiet', '-r', join(import.meta.dirname, 'requirements.txt')]);
    } catch (error) {
      await rm(venv, { recursive: true, force: true });
      throw error;
    }
  }
  if (!existsSync(llamaModuleOf(folder))) {
    say(`peers: node-llama-cpp ${llamaVersion} (85 MB)`);
    // Its optional packages are builds for every graphics card, and its install script looks for a compiler: neither is needed.
    const quiet = ['--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund', '--loglevel', 'error'];
    const packages = ['node-llama-cpp', prebuiltLlama()].map((name) => `${name}@${llamaVersion}`);
    run('npm', ['install', '--prefix', join(folder, 'llama'), ...quiet, ...packages]);
  }
}

function prebuiltLlama(): string {
  const { platform, arch } = process;
  const build = platform === 'darwin' ? (arch === 'arm64' ? 'mac-arm64-metal' : 'mac-x64') : `linux-${arch}`;
  return `@node-llama-cpp/${build}`;
}

function run(command: string, args: string[]): void {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', process.stderr, process.stderr] });
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ` with code ${status}`}`);
}
