#!/usr/bin/env node
// Starts the `cada` command. Plain old JavaScript, so that any Node can at least read it and say what is missing.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

// From here on Node runs TypeScript without a flag.
const OLDEST = [22, 18];
const here = dirname(fileURLToPath(import.meta.url));

const [major, minor] = process.versions.node.split('.').map(Number);
if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) {
  const { start } = await import(pathToFileURL(entryPoint()).href);
  await start();
} else {
  const newer = nodeOfTheProject();
  if (newer && !process.env.CADA_NODE_CHOSEN) runWith(newer);
  else {
    process.stderr.write(
      `CADA needs Node ${OLDEST.join('.')} or newer; this is ${process.versions.node}.\n` +
        'Run `npm install` here (it brings a newer one, which is then used by itself), or install Node from https://nodejs.org.\n',
    );
    process.exitCode = 3;
  }
}

/** The sources in the repository; the compiled files in an installed package, where Node does not run TypeScript. */
function entryPoint() {
  const source = join(here, 'start.ts');
  const installed = here.split(sep).includes('node_modules');
  return !installed && existsSync(source) ? source : join(here, '..', 'dist', 'cli', 'start.js');
}

/** The `node` package is a dependency: a newer Node than the machine's. */
function nodeOfTheProject() {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve('node/package.json'));
    const binary = join(folder, 'bin', 'node');
    return existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/** Goes on in a child with the newer Node. The channel tells the child when we die, so that it never outlives us. */
function runWith(binary) {
  const child = spawn(binary, process.argv.slice(1), {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, CADA_NODE_CHOSEN: '1', PATH: `${dirname(binary)}:${process.env.PATH}` },
  });
  // A terminal sends Ctrl-C to both; it is the child's to handle. What is sent to us alone is passed on.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('error', (error) => {
    process.stderr.write(`${binary} can not be started: ${error.message}\n`);
    process.exitCode = 3;
  });
  child.on('exit', (code, signal) => {
    if (signal) process.kill(process.pid, signal === 'SIGINT' ? 'SIGTERM' : signal);
    else process.exitCode = code === null ? 1 : code;
  });
}
