/**
 * `npm run setup:cuda`: fetches ONNX Runtime's CUDA provider (some 300 MB, too large for the npm registry) with the package's own install script, which a
 * plain `npm install` does not run. CUDA and cuDNN themselves must be on the machine. See docs/devices.md.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { CUDA_LIBRARIES, cudaLibraryFolder, missingCudaLibraries, runtimePackageFolder } from './cudaProvider.ts';
import { providerStates } from './providerStates.ts';

const FIRST_ANSWER_MS = 10_000;
const DOWNLOAD_MS = 30 * 60_000;

interface InstallMetadata {
  packages: Record<string, { name: string; versions: { feed: string; version: string }[] }>;
  feeds: Record<string, { index: string }>;
}

const require = createRequire(import.meta.url);
const { packages, feeds } = require(join(runtimePackageFolder, 'script', 'install-metadata.js')) as InstallMetadata;
const nuget = packages['nuget:linux/x64:cuda12']!;
const { feed, version } = nuget.versions[0]!;

process.exit(await setUp());

async function setUp(): Promise<number> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    console.error(
      `ONNX Runtime's CUDA provider for Node exists for Linux on x64 only, not for ${process.platform} on ${process.arch}.`,
    );
    return 1;
  }
  if (missingCudaLibraries().length > 0) {
    const problem = (await unreachable(feeds[feed]!.index)) ?? download();
    if (problem !== undefined || missingCudaLibraries().length > 0) {
      console.error(
        `The CUDA provider could not be installed: ${problem ?? `the script left no ${missingCudaLibraries().join(', ')}`}.\n` +
          `By hand: fetch the NuGet package ${nuget.name} ${version} elsewhere (it is a zip archive), and copy ${CUDA_LIBRARIES.join(' and ')} from its folder runtimes/linux-x64/native to ${cudaLibraryFolder}. Behind a proxy set GLOBAL_AGENT_HTTPS_PROXY.`,
      );
      return 1;
    }
  }
  console.log(`ONNX Runtime's CUDA provider ${version} is in ${cudaLibraryFolder}.`);
  const state = (await providerStates()).find(({ provider }) => provider === 'cuda');
  if (state && state.problem === undefined) {
    console.log('It works: set engine.device to cuda, and run `npm run test:gpu`.');
    return 0;
  }
  console.error(
    `It does not work yet: ${state?.problem ?? 'this build of ONNX Runtime does not know it'}.\nIt needs an NVIDIA driver, and the libraries of CUDA and cuDNN 9 where the loader finds them (LD_LIBRARY_PATH); \`ldd ${join(cudaLibraryFolder, CUDA_LIBRARIES[1]!)}\` names those that are missing.`,
  );
  return 1;
}

/** Asks first, because the install script waits without limit behind a proxy that does not answer. */
async function unreachable(address: string): Promise<string | undefined> {
  // The script goes by this variable alone.
  if (process.env['GLOBAL_AGENT_HTTPS_PROXY']) return undefined;
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(FIRST_ANSWER_MS) });
    return response.ok ? undefined : `${address} answers ${response.status}`;
  } catch (error) {
    const { message, cause } = error as Error;
    return `${address} can not be reached (${cause instanceof Error ? cause.message : message})`;
  }
}

function download(): string | undefined {
  console.log(`Fetching ${nuget.name} ${version}...`);
  // Not `cuda12`: the script of 1.30.0 takes any name for "not asked", and does nothing under `npm run`.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'true' };
  const { status, error } = spawnSync(process.execPath, [join(runtimePackageFolder, 'script', 'install.js')], {
    cwd: runtimePackageFolder,
    env,
    stdio: 'inherit',
    timeout: DOWNLOAD_MS,
    killSignal: 'SIGKILL',
  });
  if (error) return error.message;
  return status === 0 ? undefined : `the package's install script ended with code ${status}`;
}
