import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openStore } from '../../../infra/artifacts/artifactStore.ts';
import { examineMachine } from '../../../infra/doctor/doctor.ts';
import { examineCpu, examineDisk, examineMemory, examineNode, examinePython } from '../../../infra/doctor/machine.ts';
import { examineStore } from '../../../infra/doctor/store.ts';
import { examineTemporal } from '../../../infra/doctor/temporal.ts';
import { freePorts } from '../../../infra/temporal/freePorts.ts';
import { startTestServer, temporalBinary } from '../../servers/temporalServer.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-doctor-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const bare = {
  HOME: folder,
  XDG_CONFIG_HOME: join(folder, 'config'),
  CADA_CACHE: join(folder, 'cache'),
  PATH: ['/usr/bin', '/bin'].join(delimiter),
};

describe('the machine', () => {
  it.each([
    ['20.18.0', 'fail'],
    ['22.17.1', 'fail'],
    ['22.18.0', 'ok'],
    ['24.21.0', 'ok'],
    ['25.1.0', 'warn'],
    ['26.10.0', 'warn'],
  ])('Node.js %s: %s', (version, state) => {
    expect(examineNode(version)).toMatchObject({ state, found: `Node.js ${version}` });
  });

  it('warns of one core', () => {
    expect(examineCpu(1).state).toBe('warn');
    expect(examineCpu(2)).toEqual({ state: 'ok', found: '2 cores', remedy: '' });
  });

  it.each([
    [8e9, 'ok'],
    [4e9, 'ok'],
    [3.9e9, 'warn'],
    [1.9e9, 'fail'],
  ])('%d bytes of memory where 4 GB are wanted: %s', (available, state) =>
    expect(examineMemory(available, 4e9).state).toBe(state),
  );

  it('judges the disk of a folder that is not there yet', async () => {
    const missing = join(folder, 'not', 'there');
    expect(await examineDisk(missing, 1, 'CADA_HOME')).toMatchObject({
      state: 'ok',
      found: expect.stringMatching(/B free at .*not.there$/),
    });
    expect(await examineDisk(missing, 1e18, 'CADA_HOME')).toMatchObject({
      state: 'fail',
      remedy: expect.stringContaining('1 EB are wanted'),
    });
  });

  it('names a folder that can not be written', async () => {
    if (process.getuid?.() === 0) {
      console.warn('the check of a read-only folder is left out: root may write everywhere');
      return;
    }
    const locked = join(folder, 'locked');
    mkdirSync(locked);
    chmodSync(locked, 0o500);
    expect(await examineDisk(join(locked, 'x'), 1, 'CADA_CACHE')).toMatchObject({
      state: 'fail',
      remedy: expect.stringContaining('CADA_CACHE'),
    });
  });

  it('tells pip, its absence, and the absence of python3', async () => {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    expect(await examinePython({ PATH: bin })).toMatchObject({ state: 'warn', found: 'no python3' });
    const python = (script: string): void =>
      writeFileSync(join(bin, 'python3'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    python('echo "python3: No module named pip" >&2; exit 1');
    expect((await examinePython({ PATH: bin })).found).toBe('python3: No module named pip');
    python('echo "pip 26.1 from /lib/pip (python 3.14)"');
    expect(await examinePython({ PATH: bin })).toEqual({ state: 'ok', found: 'pip 26.1, Python 3.14', remedy: '' });
  });
});

describe('Temporal', () => {
  it('asks an external server', async () => {
    const server = await startTestServer();
    const env = { ...bare, TEMPORAL_ADDRESS: server.address };
    expect(await examineTemporal(env)).toMatchObject({
      state: 'ok',
      found: expect.stringMatching(
        new RegExp(`^server 1\\.\\d+\\.\\d+ at ${server.address}, namespace default \\(from TEMPORAL_ADDRESS\\)$`),
      ),
    });
    expect(await examineTemporal(env, { namespace: 'research' })).toMatchObject({
      state: 'fail',
      remedy: expect.stringContaining('no namespace "research"'),
    });
    await server.stop();
  });

  it('names the address that does not answer', async () => {
    const [port] = await freePorts(1);
    expect(await examineTemporal(bare, { address: `127.0.0.1:${port}` }, 500)).toMatchObject({
      state: 'fail',
      found: `nothing usable at 127.0.0.1:${port} (from the run configuration)`,
      remedy: expect.stringContaining('connection refused'),
    });
  });

  it('finds a binary without downloading, or says that the first run fetches one', async () => {
    expect(await examineTemporal({ ...bare, CADA_TEMPORAL_CLI: await temporalBinary() })).toMatchObject({
      state: 'ok',
      found: expect.stringContaining('embedded: '),
    });
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    expect(await examineTemporal({ ...bare, PATH: empty })).toMatchObject({
      state: 'warn',
      found: 'no Temporal CLI on this machine yet',
    });
    expect(await examineTemporal({ ...bare, CADA_TEMPORAL_CLI: '/nowhere/temporal' })).toMatchObject({
      state: 'fail',
      remedy: expect.stringContaining('/nowhere/temporal'),
    });
  });
});

describe('the artifact store', () => {
  it('passes with a folder, leaving nothing behind', async () => {
    const store = await openStore(join(folder, 'store'));
    expect(await examineStore(() => Promise.resolve(store))).toMatchObject({ state: 'ok' });
    const keys: string[] = [];
    for await (const key of store.listDocuments('doctor/')) keys.push(key);
    expect(keys).toEqual([]);
  });

  it('fails with a store that overwrites', async () => {
    const overwriting = {
      uri: 's3://bucket/prefix',
      putDocument: (_key: string, value: unknown) => Promise.resolve({ etag: 'e', value, adopted: false }),
      deleteDocument: () => Promise.resolve(),
    };
    expect(await examineStore(() => Promise.resolve(overwriting))).toMatchObject({
      state: 'fail',
      found: 's3://bucket/prefix ignores If-None-Match',
    });
  });

  it('fails with a store that can not be opened', async () => {
    const refused = await examineStore(() => Promise.reject(new Error('Access Denied')));
    expect(refused).toMatchObject({
      state: 'fail',
      found: 'the store can not be used: Access Denied',
      remedy: expect.stringContaining('CADA_STORE'),
    });
  });
});

it('lists all checks in order, a thrown one among them as failed', async () => {
  const checks = await examineMachine({
    env: { ...bare, CADA_HOME: join(folder, 'home'), CADA_TEMPORAL_CLI: await temporalBinary() },
    needs: { memoryBytes: 1, homeBytes: 1, cacheBytes: 1 },
    store: () => Promise.resolve({ state: 'ok', found: 'a folder', remedy: '' }),
    model: () => Promise.reject(new Error('the hub does not answer')),
    devices: () => Promise.resolve({ state: 'ok', found: 'cpu works', remedy: '' }),
  });
  expect(checks.map(({ name }) => name)).toEqual([
    'Node.js',
    'CPU cores',
    'memory',
    'disk for CADA_HOME',
    'disk for CADA_CACHE',
    'Temporal',
    'artifact store',
    'model',
    'devices',
    'python3 with pip',
  ]);
  expect(checks.find(({ name }) => name === 'model')).toMatchObject({
    state: 'fail',
    found: 'the hub does not answer',
  });
  expect(checks.find(({ name }) => name === 'disk for CADA_HOME')?.state).toBe('ok');
  // Every check that is not ok says what to do.
  for (const { state, remedy } of checks) expect(remedy === '').toBe(state === 'ok');
});
