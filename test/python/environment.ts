/** A Python with PEFT: the one that CADA_TEST_PYTHON names, or a virtual environment in the cache. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cadaCache } from '../../infra/paths.ts';

const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');

/** One folder for each content of requirements.txt. */
function environmentFolder(): string {
  const digest = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex').slice(0, 12);
  return join(cadaCache(), 'python', `peft-${digest}`);
}

const pythonIn = (folder: string) => join(folder, 'bin', 'python');
/** Written when everything is installed: an interrupted installation is made again. */
const completeMark = (folder: string) => join(folder, 'complete');

/** A Python that has PEFT, without installing anything; or why there is none. */
export function findPython(): { python: string } | { missing: string } {
  const named = process.env['CADA_TEST_PYTHON'];
  if (named) {
    const failure = importFailure(named);
    return failure ? { missing: `CADA_TEST_PYTHON (${named}) can't import peft: ${failure}` } : { python: named };
  }
  const folder = environmentFolder();
  if (existsSync(completeMark(folder))) return { python: pythonIn(folder) };
  // The bench installs the same packages and more for its peers.
  const ofBench = pythonIn(join(cadaCache(), 'bench', 'python'));
  if (existsSync(ofBench) && !importFailure(ofBench)) return { python: ofBench };
  return {
    missing: 'there is no Python with PEFT (set CADA_TEST_PYTHON, or run `npm run test:python`, which makes one)',
  };
}

function importFailure(python: string): string | undefined {
  const { status, error, stderr } = spawnSync(python, ['-c', 'import peft, transformers, torch'], { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? lastLine(stderr));
}

/**
 * Makes the virtual environment in the cache, or returns the one that is there.
 * @throws Error that says what is missing: Python, its venv module, or the way to the package registry.
 */
export function makePython(): string {
  const found = findPython();
  if ('python' in found) return found.python;
  if (process.env['CADA_TEST_PYTHON']) throw new Error(found.missing);
  const version = spawnSync('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], {
    encoding: 'utf8',
  });
  if (version.error) throw new Error('python3 was not found: install Python 3.10 or later');
  const folder = environmentFolder();
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  console.log(`making a Python ${version.stdout.trim()} environment in ${folder}`);
  const venv = spawnSync('python3', ['-m', 'venv', folder], { encoding: 'utf8' });
  if (venv.status !== 0)
    throw new Error(
      `python3 can't make a virtual environment (on Debian, install python3-venv): ${lastLine(venv.stderr || venv.stdout)}`,
    );
  console.log(`installing ${packages().join(', ')} with pip: some minutes, about 6 GB on Linux`);
  const pip = spawnSync(
    pythonIn(folder),
    ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', REQUIREMENTS],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  if (pip.status !== 0) throw new Error('pip could not install them: its message stands above');
  writeFileSync(completeMark(folder), '');
  return pythonIn(folder);
}

const packages = () =>
  readFileSync(REQUIREMENTS, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

const lastLine = (text: string) => text.trim().split('\n').at(-1) ?? '';
