/**
 * Builds the S3 server of the tests (versitygw, Apache-2.0) once into node_modules/.cache, from its Go module.
 * Run on its own (`node test/servers/buildS3Server.ts`) before the tests; it never fails the run: without Go, or
 * without a way to the module proxy, it prints the reason and the S3 tests skip with the same reason.
 */
import { spawn } from 'node:child_process';
import { access, link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const VERSION = 'v1.8.0';
const CACHE = resolve(import.meta.dirname, '../../node_modules/.cache/cada-test');
const BINARY = join(CACHE, 'versitygw');
const LOCK = join(CACHE, 'versitygw.lock');
/** Left after a build that failed, so that every test file of one run does not try again. */
const FAILURE = join(CACHE, 'versitygw.failed');
const FAILURE_HOLDS_MS = 10 * 60_000;
const BUILD_LIMIT_MS = 15 * 60_000;

export type S3Binary = { path: string } | { missing: string };

/** The path of the server, built first where it is missing (about two minutes, once), or why there is none. */
export async function buildS3Server(): Promise<S3Binary> {
  if (await isExecutable(BINARY)) return { path: BINARY };
  await mkdir(CACHE, { recursive: true });
  const release = await lock();
  try {
    if (await isExecutable(BINARY)) return { path: BINARY };
    const earlier = await recentFailure();
    if (earlier) return { missing: earlier };
    const problem = await install();
    if (!problem) return { path: BINARY };
    await writeFile(FAILURE, JSON.stringify({ at: Date.now(), problem }));
    return { missing: problem };
  } finally {
    await release();
  }
}

async function install(): Promise<string | undefined> {
  const folder = join(CACHE, `build-${process.pid}`);
  const problem = await new Promise<string | undefined>((done) => {
    const child = spawn(
      'go',
      ['install', '-trimpath', '-ldflags=-s -w', `github.com/versity/versitygw/cmd/versitygw@${VERSION}`],
      {
        env: { ...process.env, GOBIN: folder },
        stdio: ['ignore', 'ignore', 'pipe'],
        signal: AbortSignal.timeout(BUILD_LIMIT_MS),
      },
    );
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-600)));
    child.on('error', (error) =>
      done(`versitygw ${VERSION} could not be built: Go does not start (${error.message}). Install Go, ${otherWay}`),
    );
    child.on('close', (code, signal) =>
      done(
        code === 0
          ? undefined
          : `versitygw ${VERSION} could not be built: go install ended with ${signal ?? code}, ${otherWay}\n${errors.trim()}`,
      ),
    );
  });
  if (!problem) await rename(join(folder, 'versitygw'), BINARY);
  await rm(folder, { recursive: true, force: true });
  return problem;
}

const otherWay = 'or give the tests a server by CADA_TEST_S3_ENDPOINT (with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY).';

async function recentFailure(): Promise<string | undefined> {
  try {
    const { at, problem } = JSON.parse(await readFile(FAILURE, 'utf8')) as { at: number; problem: string };
    return Date.now() - at < FAILURE_HOLDS_MS ? problem : undefined;
  } catch {
    return undefined;
  }
}

/**
 * One builder at a time among processes; the lock of a process that died is taken over. The lock only saves work: each
 * builder uses its own folder and renames the finished binary into place, so two at once would do no harm.
 */
async function lock(): Promise<() => Promise<void>> {
  const own = `${LOCK}.${process.pid}`;
  await writeFile(own, String(process.pid));
  try {
    while (!(await linked(own, LOCK))) {
      const owner = Number(await readFile(LOCK, 'utf8').catch(() => ''));
      if (owner > 0 && !isRunning(owner)) await rm(LOCK, { force: true });
      await sleep(300);
    }
  } finally {
    await rm(own, { force: true });
  }
  return () => rm(LOCK, { force: true });
}

async function linked(from: string, to: string): Promise<boolean> {
  return link(from, to).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

if (process.argv[1] && resolve(process.argv[1]) === import.meta.filename) {
  const found = await buildS3Server();
  console.log(
    'path' in found
      ? `S3 server for tests: ${relative(process.cwd(), found.path)}`
      : `S3 tests will skip: ${found.missing}`,
  );
}
