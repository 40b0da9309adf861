import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** Where the state of runs lives: `CADA_HOME`, or `.cada` in the working directory. Absolute. */
export function cadaHome(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env.CADA_HOME || '.cada');
}

/** Where downloads live, shared by all runs of a user: `CADA_CACHE`, or `~/.cache/cada` (`$XDG_CACHE_HOME/cada` where set). Absolute. */
export function cadaCache(env: NodeJS.ProcessEnv = process.env): string {
  return resolve(env.CADA_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cada'));
}

/** The folders and files of one run under `CADA_HOME`. Nothing is created here. */
export interface RunFolders {
  root: string;
  /** One file a process: `cli.log`, `worker-gpu-1.log`, `temporal.log`, ... */
  logs: string;
  /** The embedded Temporal server's SQLite file; `server.json` lies beside it. */
  temporalDatabase: string;
}

/** Run ids become folder names; anything else could climb out of `CADA_HOME`. */
const RUN_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/**
 * @param runId letters, digits, dot, dash, underscore; at most 128 characters.
 * @throws Error when the run id can not be a folder name.
 */
export function runFolders(home: string, runId: string): RunFolders {
  if (!RUN_ID.test(runId)) {
    throw new Error(
      `"${runId}" is not a run id: letters, digits, ".", "-" and "_" are allowed, 128 at most, the first a letter or digit`,
    );
  }
  const root = join(home, 'runs', runId);
  return { root, logs: join(root, 'logs'), temporalDatabase: join(root, 'temporal', 'history.db') };
}

/** Names of the folders of runs (and of other work with a server of its own) under `CADA_HOME`. */
export async function listRunFolders(home: string): Promise<string[]> {
  const names = await readdir(join(home, 'runs')).catch((): string[] => []);
  return names.filter((name) => RUN_ID.test(name));
}

/** Where `artifacts` of the default folder store lie. */
export function artifactsFolder(home: string): string {
  return join(home, 'store');
}
