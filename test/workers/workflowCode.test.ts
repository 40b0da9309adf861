import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { workflowCode } from '../../workers/workflowCode.ts';

// The bundler finds the SDK from here.
const parent = resolve('node_modules', '.cache');
let folder: string;
let cache: string;

/** Long ago: what changes while it is being bundled is not kept. */
async function write(name: string, text: string): Promise<void> {
  await writeFile(join(folder, name), text);
  await utimes(join(folder, name), 1e9, 1e9);
}

const bundled = async (where = cache): Promise<string> =>
  (await workflowCode({ workflowsPath: join(folder, 'index.js') }, where)).code;

async function keptFile(): Promise<string> {
  const [name, ...more] = await readdir(join(cache, 'workflows'));
  expect(more).toEqual([]);
  return join(cache, 'workflows', name!);
}

/** Gives the kept code a mark that no bundler would. */
async function markKept(): Promise<void> {
  const kept = JSON.parse(await readFile(await keptFile(), 'utf8')) as { code: string; codeSha256: string };
  const code = `${kept.code}\n// kept`;
  await writeFile(await keptFile(), JSON.stringify({ ...kept, code, codeSha256: sha256(code) }));
}

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  await mkdir(parent, { recursive: true });
  folder = await mkdtemp(join(parent, 'workflows-'));
  cache = join(folder, 'cache');
  await write('index.js', "export { first } from './other.js';\n");
  await write('other.js', "export const first = async () => 'as it was';\n");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('is bundled once, and taken from what was kept while its files are as they were', async () => {
  expect(await bundled()).toContain('as it was');
  await markKept();
  expect(await bundled()).toMatch(/as it was[^]*\/\/ kept$/);
});

test('a file that was changed, or one it needs, is bundled anew', async () => {
  await write('other.js', "export const first = async () => 'as it is';\n");
  expect(await bundled()).toContain('as it is');
  expect(await bundled()).not.toMatch(/\/\/ kept$/);
});

test('what the kept code was damaged to is not run', async () => {
  const text = await readFile(await keptFile(), 'utf8');
  await writeFile(await keptFile(), text.replace('as it is', 'as it ain'));
  expect(await bundled()).toContain('as it is');
  await writeFile(await keptFile(), text.slice(0, text.length / 2));
  expect(await bundled()).toContain('as it is');
});

test('other interceptors are other code', async () => {
  await write('interceptors.js', "export const interceptors = () => ({ inbound: ['seen'] });\n");
  const what = {
    workflowsPath: join(folder, 'index.js'),
    workflowInterceptorModules: [join(folder, 'interceptors.js')],
  };
  expect((await workflowCode(what, cache)).code).toContain('seen');
  expect(await bundled()).not.toContain('seen');
});

test('a file that changes while it is bundled leaves nothing behind that could be taken for it', async () => {
  const other = join(folder, 'fresh');
  const later = Date.now() / 1000 + 60;
  await utimes(join(folder, 'other.js'), later, later);
  expect(await bundled(other)).toContain('as it is');
  await expect(readdir(join(other, 'workflows'))).rejects.toThrow('ENOENT');
});

test('where nothing can be kept the code is there all the same', async () => {
  expect(await bundled(join(folder, 'index.js'))).toContain('as it is');
});
