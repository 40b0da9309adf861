/**
 * The workflows' code as a control worker runs it. Bundling takes seconds, so the bundle is kept in `CADA_CACHE`, with the digest of every file that went
 * into it: the next worker takes it where all of them are as they were.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { bundleWorkflowCode, Runtime, type BundleOptions } from '@temporalio/worker';
import { whereAbsent } from '../infra/artifacts/durableFiles.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../infra/artifacts/digest.ts';

type Bundled = Pick<BundleOptions, 'workflowsPath' | 'workflowInterceptorModules' | 'failureConverterPath'>;
type WebpackConfiguration = Parameters<NonNullable<BundleOptions['webpackConfigHook']>>[0];

interface KeptBundle {
  /** [path, SHA-256] of each file that was read. */
  inputs: [string, string][];
  code: string;
  codeSha256: string;
}

/**
 * @param what absolute paths, as the SDK's bundler takes them
 * @param cache absolute `CADA_CACHE`; where nothing can be written there the code is bundled at each start
 * @throws what the bundler throws where the workflows can't be bundled
 */
export async function workflowCode(what: Bundled, cache: string): Promise<{ code: string }> {
  const { version } = createRequire(import.meta.url)('@temporalio/worker/package.json') as { version: string };
  const folder = join(cache, 'workflows');
  const file = join(folder, `${sha256(canonicalJson({ ...what, version })).slice(0, 32)}.json`);
  const kept = await readKept(file);
  if (kept !== undefined) return { code: kept };
  const since = Date.now();
  const read = new Set<string>();
  const { code } = await bundleWorkflowCode({
    ...what,
    logger: Runtime.instance().logger,
    webpackConfigHook: (given) => notingInputs(given, read),
  });
  await keep({ folder, file, code, read, since }).catch(() => undefined);
  return { code };
}

/** The code; undefined where there is none, it is damaged, or it is of other files than those of today. */
async function readKept(file: string): Promise<string | undefined> {
  try {
    const { inputs, code, codeSha256 } = JSON.parse(await readFile(file, 'utf8')) as KeptBundle;
    if (sha256(code) !== codeSha256) return undefined;
    const same = await Promise.all(inputs.map(async ([path, digest]) => sha256(await readFile(path)) === digest));
    return same.every(Boolean) ? code : undefined;
  } catch {
    return undefined;
  }
}

/** @param read what the bundler has read, once it is done */
function notingInputs(configuration: WebpackConfiguration, read: Set<string>): WebpackConfiguration {
  const noted: NonNullable<WebpackConfiguration['plugins']>[number] = {
    apply: (compiler) =>
      compiler.hooks.done.tap('cada', ({ compilation }) => {
        for (const path of compilation.fileDependencies) read.add(path);
      }),
  };
  return { ...configuration, plugins: [...(configuration.plugins ?? []), noted] };
}

interface Bundle {
  folder: string;
  file: string;
  code: string;
  read: ReadonlySet<string>;
  /** Milliseconds: a file that was changed from then on may have been read before or after. */
  since: number;
}

/** Whole or not at all: workers may start side by side. */
async function keep({ folder, file, code, read, since }: Bundle): Promise<void> {
  const inputs: [string, string][] = [];
  for (const path of [...read].sort()) {
    // The SDK's own entry is no file.
    const found = await stat(path).catch(whereAbsent(undefined));
    if (!found?.isFile()) continue;
    if (found.mtimeMs >= since) return;
    inputs.push([path, sha256(await readFile(path))]);
  }
  await mkdir(folder, { recursive: true });
  const unfinished = `${file}.${randomUUID()}`;
  try {
    await writeFile(unfinished, JSON.stringify({ inputs, code, codeSha256: sha256(code) } satisfies KeptBundle));
    await rename(unfinished, file);
  } finally {
    await rm(unfinished, { force: true });
  }
}
