/**
 * What the execution providers of this machine come to, found out in a process of its own: a bad driver can end a process. Run as a program, this file
 * prints the states as its last line.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Provider } from '../graph/providers.ts';
import type { ProviderState } from './device.ts';

const TIMEOUT_MS = 60_000;

/** Every provider that this build of ONNX Runtime knows; one whose driver ends the process or hangs does not work, and says so. */
export async function providerStates(): Promise<ProviderState[]> {
  const all = await statesOf([]);
  if (Array.isArray(all)) return all;
  // One of them took the process with it: each in its own then.
  const known: Provider[] = ['cpu', 'cuda', 'webgpu'];
  const each = await Promise.all(
    known.map(async (provider) => {
      const states = await statesOf([provider]);
      return Array.isArray(states) ? states : [{ provider, problem: states }];
    }),
  );
  return each.flat();
}

/** `cpu works; cuda does not (why); ...` */
export function describeProviders(states: readonly ProviderState[]): string {
  return states
    .map(({ provider, problem }) => `${provider} ${problem === undefined ? 'works' : `does not (${problem})`}`)
    .join('; ');
}

/** The states of some providers (none = all), or why the process that was to find out ended. */
function statesOf(providers: readonly Provider[]): Promise<ProviderState[] | string> {
  return new Promise((resolve) => {
    const path = fileURLToPath(import.meta.url);
    execFile(
      process.execPath,
      [path, ...providers],
      { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' },
      (error, stdout) => {
        const { killed, signal, code } = (error ?? {}) as { killed?: boolean; signal?: string; code?: number | string };
        if (killed) return resolve(`the driver did not answer in ${TIMEOUT_MS / 1000} s`);
        if (error) return resolve(`its driver ended the process (${signal ?? `code ${code}`})`);
        resolve(JSON.parse(stdout.trim().split('\n').at(-1)!) as ProviderState[]);
      },
    );
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { offeredProviders, tryProvider } = await import('./device.ts');
  const asked = process.argv.slice(2) as Provider[];
  const states: ProviderState[] = [];
  for (const provider of asked.length > 0 ? asked : offeredProviders()) states.push(await tryProvider(provider));
  console.log(JSON.stringify(states));
  process.exit(0);
}
