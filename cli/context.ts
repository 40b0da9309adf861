/** What every command is given: streams, environment, the operations, and a signal that Ctrl-C aborts. */
import { artifactsFolder, cadaHome } from '../infra/paths.ts';
import { escapeUnsafe } from '../infra/logging/escape.ts';
import type { CadaOperations } from './operations.ts';

export interface CommandContext {
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
  env: NodeJS.ProcessEnv;
  /** Loaded on first use: `cada --help` should not pay for Temporal and the engine. */
  operations(): Promise<CadaOperations>;
  signal: AbortSignal;
  /** A command that ends well but not with 0 (a run that waits) says so here. */
  setExitCode(code: number): void;
}

/** `CADA_HOME`, absolute, and the address of the store: `--store`, else `CADA_STORE`, else a folder in `CADA_HOME`. */
export function placesOf(context: CommandContext, store?: string): { home: string; storeUri: string } {
  const home = cadaHome(context.env);
  return { home, storeUri: store ?? (context.env.CADA_STORE || artifactsFolder(home)) };
}

export const print = (context: CommandContext, text: string): void => void context.stdout.write(`${text}\n`);
/** For scripts; on a terminal it must do no harm either, so what JSON leaves as it is and a terminal obeys is written as an escape of JSON. */
export const printJson = (context: CommandContext, value: unknown): void =>
  print(context, escapeUnsafe(JSON.stringify(value, null, 2)));
/** Remarks that a script reading standard output must not see. */
export const remark = (context: CommandContext, text: string): void => void context.stderr.write(`${text}\n`);
