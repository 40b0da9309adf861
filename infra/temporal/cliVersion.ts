import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What `temporal --version` says. */
export interface CliVersion {
  cli: string;
  server: string;
}

/** Older servers lack what the workflows use (event groups, stable priorities): a `temporal` on PATH below this is passed over. */
export const OLDEST_SERVER = '1.32.0';

/** Parses "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)"; undefined when the text is something else. */
export function parseCliVersion(text: string): CliVersion | undefined {
  const match = /temporal version v?(\d\S*)\s+\(Server v?(\d[^,)\s]*)/i.exec(text);
  return match ? { cli: match[1] as string, server: match[2] as string } : undefined;
}

/** Whether a server version such as "1.32.0" or "1.33.0-rc.1" is at least `OLDEST_SERVER` (a pre-release counts as its release). */
export function isServerNewEnough(server: string, oldest: string = OLDEST_SERVER): boolean {
  const parts = (version: string): number[] =>
    version
      .split(/[.+-]/)
      .slice(0, 3)
      .map((part) => Number.parseInt(part, 10) || 0);
  const have = parts(server);
  const need = parts(oldest);
  for (const [index, needed] of need.entries()) {
    const found = have[index] ?? 0;
    if (found !== needed) return found > needed;
  }
  return true;
}

/** Runs `BINARY --version`; rejects with a readable reason when it is no working Temporal CLI. */
export async function readCliVersion(binary: string): Promise<CliVersion> {
  let text: string;
  try {
    ({ stdout: text } = await promisify(execFile)(binary, ['--version'], { timeout: 20_000, killSignal: 'SIGKILL' }));
  } catch (error) {
    throw new Error(`${binary} does not run: ${reasonOf(error)}`, { cause: error });
  }
  const version = parseCliVersion(text);
  if (!version) throw new Error(`${binary} is not a Temporal CLI: --version printed "${text.trim().slice(0, 80)}"`);
  return version;
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'it is not executable (chmod +x)';
  return message.trim();
}
