/** The same as a user meets it, by real processes: exit code 2 or 3, the thing by name without a stack trace, and no run in the store. */
import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { listRuns, saveRun } from '../../infra/artifacts/runs.ts';
import { cada } from '../cli/runCommand.ts';
import { ggufBytes, text } from '../engine/formats/ggufBytes.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-bad-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let number = 0;

/** Of a run that is at work somewhere. */
const reference = { uri: '', sha256: 'ab'.repeat(32), bytes: 1, kind: 'configuration' };
const demoRecord = {
  ...{ runId: 'demo', state: 'running', stage: 'prepare', iteration: 0, iterations: 1, evaluations: {} },
  ...{ configuration: reference, library: reference, wallSeconds: {}, peakMemoryBytes: {} },
};

/** `cada train` with this configuration in a folder of its own. */
async function trainWith(configuration: string, options: { env?: NodeJS.ProcessEnv } = {}) {
  const cwd = join(folder, `case-${number++}`);
  await mkdir(cwd);
  await writeFile(join(cwd, 'cada.yaml'), configuration);
  const ended = await cada(['train'], { cwd, ...options });
  expect(ended.stderr).not.toMatch(/^ +at .*:\d+:\d+/m);
  expect(ended.stdout).not.toMatch(/^ +at .*:\d+:\d+/m);
  const store = join(cwd, '.cada', 'store');
  const runs = existsSync(store) ? await listRuns(await openStore(store)) : [];
  return { ...ended, runs, started: existsSync(join(cwd, '.cada', 'runs')) };
}

async function modelWith(change: (path: string) => Promise<void>): Promise<string> {
  const path = join(folder, `model-${number++}`);
  await writeTinyChainModel(path);
  await change(path);
  return path;
}

async function libraryWith(change: (path: string) => Promise<void>): Promise<string> {
  const path = join(folder, `library-${number++}`);
  await cp(resolve('library'), path, { recursive: true });
  await change(path);
  return path;
}

const withModel = (path: string): string => `name: bad\nmodel:\n  source: ${path}\n`;

describe('a model', () => {
  test.each([
    {
      what: 'that is not there',
      prepare: () => Promise.resolve(join(folder, 'nowhere')),
      says: [/cada\.yaml:3:\d+ {2}model\.source: there is nothing at .*nowhere/],
    },
    {
      what: 'whose safetensors file is cut off',
      prepare: () => modelWith((path) => truncate(join(path, 'model.safetensors'), 200_000)),
      says: [/model\.safetensors/, /truncated|cut|ends|bytes/i, /model\.source/],
    },
    {
      what: 'of an architecture that is not supported',
      prepare: () =>
        modelWith(async (path) => {
          const config = JSON.parse(await readFile(join(path, 'config.json'), 'utf8')) as object;
          const other = { ...config, model_type: 'mamba', architectures: ['MambaForCausalLM'] };
          await writeFile(join(path, 'config.json'), JSON.stringify(other));
        }),
      says: [/config\.json/, /mamba/i, /llama/i],
    },
    {
      what: 'without a tokenizer',
      prepare: () => modelWith((path) => rm(join(path, 'tokenizer.json'))),
      says: [/tokenizer\.json/],
    },
    {
      what: 'that is a GGUF file cut off',
      prepare: async () => {
        const path = join(folder, 'cut.gguf');
        // A tensor of 64 x 64 numbers of which only the first rows are there.
        const whole = ggufBytes({
          metadata: [['general.architecture', 8, text('llama')]],
          tensors: [{ name: 'token_embd.weight', dimensions: [64, 64], type: 0, offset: 0 }],
          data: new Uint8Array(1000),
        });
        await writeFile(path, whole);
        return path;
      },
      says: [/cut\.gguf/, /truncated|cut|ends|short/i],
    },
  ])('$what', async ({ prepare, says }) => {
    const { code, stderr, runs, started } = await trainWith(withModel(await prepare()));
    for (const part of says) expect(stderr).toMatch(part);
    expect(code).toBe(2);
    expect({ runs, started }).toEqual({ runs: [], started: false });
  });
});

describe('a library', () => {
  test.each([
    {
      what: 'with an empty request file',
      change: (path: string) => writeFile(join(path, 'requests', 'training.jsonl'), ''),
      settings: '',
      says: [/requests\/training\.jsonl: holds no requests/],
    },
    {
      what: 'with a request id twice',
      change: async (path: string) => {
        const file = join(path, 'requests', 'training.jsonl');
        const text = await readFile(file, 'utf8');
        await writeFile(file, text + text.split('\n')[0]! + '\n');
      },
      settings: '',
      says: [/requests\/training\.jsonl:\d+: id ".+" is already that of line 1/],
    },
    {
      what: 'with fewer requests than the configuration asks for',
      change: () => Promise.resolve(),
      settings: 'iteration:\n  requests: { harmful: 4000, plain: 1, lookAlike: 1 }\n',
      says: [/requests\/training\.jsonl has \d+ harmful requests, but the configuration asks for 4000/],
    },
  ])('$what', async ({ change, settings, says }) => {
    const model = await modelWith(() => Promise.resolve());
    const library = await libraryWith(change);
    const { code, stderr, runs, started } = await trainWith(
      `${withModel(model)}library:\n  path: ${library}\n${settings}`,
    );
    for (const part of says) expect(stderr).toMatch(part);
    expect(code).toBe(2);
    expect({ runs, started }).toEqual({ runs: [], started: false });
  });
});

test('a typing mistake in the configuration', async () => {
  const { code, stderr, started } = await trainWith('name: bad\nwarmstart:\n  epochs: 2\n');
  expect(stderr).toContain('warmstart: there is no such setting');
  expect(stderr).toContain('did you mean `warmStart`?');
  expect(code).toBe(2);
  expect(started).toBe(false);
});

test.each([
  [
    'payload keys that are none',
    ['watch'],
    { CADA_PAYLOAD_KEYS: 'a:b', TEMPORAL_ADDRESS: '127.0.0.1:9' },
    /CADA_PAYLOAD_KEYS: entry 1 \("a"\) has a key that/,
    3,
  ],
  [
    'a Temporal address with a scheme',
    ['watch'],
    { TEMPORAL_ADDRESS: 'http://host' },
    /must be host:port without a scheme/,
    3,
  ],
  [
    'a Temporal key without an address',
    ['watch'],
    { TEMPORAL_API_KEY: 'key' },
    /but no address: set TEMPORAL_ADDRESS/,
    3,
  ],
  [
    'a level of logs that is none',
    ['worker', '--kind', 'gpu'],
    { CADA_LOG_LEVEL: 'loud', TEMPORAL_ADDRESS: '127.0.0.1:9' },
    /"loud" is not a log level \(CADA_LOG_LEVEL\): use/,
    1,
  ],
  [
    'a worker without a server',
    ['worker', '--kind', 'gpu'],
    {},
    /A worker needs a Temporal server.*TEMPORAL_ADDRESS/s,
    2,
  ],
  [
    'a codec server with a key that is none',
    ['codec-server'],
    { CADA_PAYLOAD_KEYS: 'a:c2hvcnQ=' },
    /CADA_PAYLOAD_KEYS: entry 1 \("a"\) has a key that is not 32 bytes in base64/,
    3,
  ],
  ['a codec server for a page that is none', ['codec-server', '--ui', 'localhost'], {}, /Write http:\/\/host:port/, 2],
])('%s', async (_, args, env: NodeJS.ProcessEnv, says, exitCode) => {
  const cwd = join(folder, `case-${number++}`);
  await mkdir(cwd);
  const store = await openStore(join(cwd, '.cada', 'store'));
  await saveRun(store, 'demo', demoRecord);
  const { code, stderr, stdout } = await cada(args, { cwd, env });
  expect(stderr).toMatch(says);
  expect(stderr).not.toMatch(/^ +at .*:\d+:\d+/m);
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
});

test('a store that cannot be written', async () => {
  const model = await modelWith(() => Promise.resolve());
  const file = join(folder, 'a-file');
  await writeFile(file, '');
  const { code, stderr, started } = await trainWith(withModel(model), { env: { CADA_STORE: join(file, 'store') } });
  expect(stderr).toMatch(/the store folder .*a-file\/store can't be used .*CADA_STORE/s);
  expect(code).toBe(3);
  expect(started).toBe(false);
});

test('a store that does not answer', async () => {
  const model = await modelWith(() => Promise.resolve());
  const env = {
    CADA_STORE: 's3://bucket/prefix',
    AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9',
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'a',
    AWS_SECRET_ACCESS_KEY: 'b',
  };
  const { code, stderr, started } = await trainWith(withModel(model), { env });
  expect(stderr).toContain('127.0.0.1:9');
  expect(code).toBe(3);
  expect(started).toBe(false);
});
