/**
 * A Vulkan driver in software, so that WebGPU runs without a graphics card: SwiftShader (Apache-2.0), as the npm package @sparticuz/chromium (MIT) carries
 * it. Installed on demand into CADA_CACHE: 70 MB to fetch, of which 7 MB are kept. Not a devDependency, because every `npm ci` would fetch a whole browser.
 */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompressSync } from 'node:zlib';
import { cadaCache } from '../../infra/paths.ts';

const PACKAGE = '@sparticuz/chromium';
const VERSION = '153.0.0';
const ARCHIVE_SHA256 = 'b680e40a33235ecc6ad4c6897a168b70ce5164f0d62d2a64d675320d51614631';
const FILES = ['libvk_swiftshader.so', 'libvulkan.so.1', 'vk_swiftshader_icd.json'];
const INSTALL_TIMEOUT_MS = 120_000;

/** The environment of a process that is to find the driver, or why there is none. */
export type SoftwareVulkan = { env: Record<string, string> } | { problem: string };

/** Fetches the driver unless it is there already. Never throws. */
export async function softwareVulkan(): Promise<SoftwareVulkan> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return {
      problem: `${PACKAGE} has its driver for Linux on x64 only, not for ${process.platform} on ${process.arch}`,
    };
  const folder = join(cadaCache(), `swiftshader-${VERSION}`);
  try {
    if (!FILES.every((file) => existsSync(join(folder, file)))) await install(folder);
  } catch (error) {
    const lines = (error as Error).message.trim().split('\n');
    const cause = lines.find((line) => /^npm (error|ERR!) (code|network)/.test(line)) ?? lines[0];
    return { problem: `${PACKAGE} ${VERSION} could not be installed: ${cause}` };
  }
  const libraries = [folder, process.env['LD_LIBRARY_PATH']].filter(Boolean).join(':');
  return { env: { LD_LIBRARY_PATH: libraries, VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json') } };
}

async function install(folder: string): Promise<void> {
  await mkdir(cadaCache(), { recursive: true });
  const work = await mkdtemp(join(cadaCache(), 'swiftshader-'));
  try {
    await writeFile(join(work, 'package.json'), '{}');
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--omit=optional', '--fetch-retries=0'];
    await promisify(execFile)('npm', ['install', '--prefix', work, ...options, `${PACKAGE}@${VERSION}`], {
      cwd: work,
      timeout: INSTALL_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    const archive = await readFile(join(work, 'node_modules', PACKAGE, 'bin', 'swiftshader.tar.br'));
    const digest = createHash('sha256').update(archive).digest('hex');
    if (digest !== ARCHIVE_SHA256)
      throw new Error(`its swiftshader.tar.br has the digest ${digest}, not ${ARCHIVE_SHA256}`);
    const unpacked = join(work, 'unpacked');
    await mkdir(unpacked);
    execFileSync('tar', ['-x', '-C', unpacked, ...FILES], { input: brotliDecompressSync(archive) });
    await rm(folder, { recursive: true, force: true });
    await rename(unpacked, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
