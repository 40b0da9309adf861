/** Credentials of a Temporal server that are exchanged under a worker and a client at work; a server that takes the new ones only. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectClient, connectWorker, currentApiKey, resolveTemporal } from '../../../infra/temporal/connection.ts';
import type { ExternalTemporal } from '../../../infra/temporal/connection.ts';
import { renewCredentials } from '../../../infra/temporal/renewedCredentials.ts';
import type { RenewalOptions } from '../../../infra/temporal/renewedCredentials.ts';
import { startGrpcProxy } from '../../servers/grpcProxy.ts';
import type { Caller, GrpcProxy } from '../../servers/grpcProxy.ts';
import { eventually, startTestServer } from '../../servers/temporalServer.ts';
import type { TestServer } from '../../servers/temporalServer.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-renewed-'));
const toml = join(folder, 'temporal.toml');
let server: TestServer;
let proxy: GrpcProxy | undefined;

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  server = await startTestServer();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await proxy?.stop();
  proxy = undefined;
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** As tools write it: the new file takes the old one's place. */
function writeWhole(path: string, text: string | Buffer): void {
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

function settings(env: NodeJS.ProcessEnv): { env: NodeJS.ProcessEnv; target: ExternalTemporal } {
  const whole = { HOME: folder, XDG_CONFIG_HOME: folder, ...env };
  const target = resolveTemporal(whole);
  if (target.kind !== 'external') throw new Error('expected an external server');
  return { env: whole, target };
}

/** Keeps what is said. */
function listener(): RenewalOptions['log'] & { said: string[]; causes: unknown[] } {
  const said: string[] = [];
  const causes: unknown[] = [];
  return {
    said,
    causes,
    info: (_fields, text) => void said.push(text),
    warn: (fields, text) => {
      causes.push(fields);
      said.push(text);
    },
  };
}

/** A worker of a queue of its own, with renewal every 100 ms; `polled` waits until it has asked the server for work since a time. */
async function startWorker(
  taskQueue: string,
  { env, target }: ReturnType<typeof settings>,
  log: RenewalOptions['log'],
) {
  const connection = await connectWorker(target);
  const identity = `worker of ${taskQueue}`;
  const worker = await Worker.create({
    connection,
    taskQueue,
    identity,
    activities: { nothing: () => Promise.resolve() },
    shutdownForceTime: '2s',
  });
  const running = worker.run();
  const renewal = renewCredentials(worker, target, { env, everyMs: 100, log });
  return {
    async stop() {
      worker.shutdown();
      await running;
      await renewal.stop();
      await (worker.connection ?? connection).close();
    },
  };
}

const withApiKey = (key: string): string =>
  `[profile.default]\napi_key = "${key}"\n[profile.default.tls]\ndisabled = true\n`;

test('a worker and a client take the API key that temporal.toml has by now', async () => {
  const refusing = (proxy = await startGrpcProxy(server.address));
  writeWhole(toml, withApiKey('key-1'));
  const found = settings({ TEMPORAL_ADDRESS: refusing.address, TEMPORAL_CONFIG_FILE: toml });
  refusing.accepts = ({ apiKey }) => apiKey === 'key-1';
  const log = listener();
  const worker = await startWorker('api-key', found, log);
  await eventually('polls by the first key', () => (refusing.served(({ apiKey }) => apiKey).get('key-1') ?? 0) > 3);

  for (const [name, value] of Object.entries(found.env)) vi.stubEnv(name, value);
  const client = await connectClient(found.target);
  const describeNamespace = () => client.connection.workflowService.describeNamespace({ namespace: 'default' });
  await describeNamespace();

  // Half of a file is no reason to forget the key that works.
  writeWhole(toml, '[profile.default]\napi_key = "half-of-a-key');
  await eventually('the warning', () => log.said.length > 0);
  // Parsers quote the line that they do not understand.
  expect(JSON.stringify(log.causes)).toContain('temporal.toml');
  expect(JSON.stringify(log.causes)).not.toContain('half-of-a-key');
  refusing.accepts = ({ apiKey }) => apiKey === 'key-2';
  refusing.cut();
  writeWhole(toml, withApiKey('key-2'));
  await eventually('polls by the second key', () => (refusing.served(({ apiKey }) => apiKey).get('key-2') ?? 0) > 0);
  // Not even a client that was made before asks with the old one for longer than some seconds.
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 11_000 });
  try {
    expect((await describeNamespace()).namespaceInfo?.name).toBe('default');
  } finally {
    vi.useRealTimers();
  }
  expect(log.said).toEqual([
    'the new credentials of the Temporal server can not be used yet',
    'credentials of the Temporal server renewed',
  ]);
  await client.close();
  await worker.stop();
  expect([...refusing.served(({ apiKey }) => apiKey).keys()]).toEqual(['key-1', 'key-2']);
});

test('the API key is kept where the settings can not be read any more', () => {
  writeWhole(toml, withApiKey('key-1'));
  const { env } = settings({ TEMPORAL_ADDRESS: 'cloud:7233', TEMPORAL_CONFIG_FILE: toml });
  const key = currentApiKey('key-1', env, 0);
  writeWhole(toml, withApiKey('key-2'));
  expect(key()).toBe('key-2');
  writeWhole(toml, '[');
  expect(key()).toBe('key-2');
  rmSync(toml);
  expect(key()).toBe('key-2');
});

/** Key and certificate by name, made by an authority of the test's own; undefined without `openssl`. */
function certificates(): ((name: string) => { key: Buffer; cert: Buffer }) | undefined {
  const run = (...args: string[]): void => void execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  const fresh = ['-newkey', 'rsa:2048', '-nodes'];
  try {
    run('req', '-x509', ...fresh, '-days', '2', '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=authority');
  } catch {
    return undefined;
  }
  writeFileSync(join(folder, 'extensions'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n');
  return (name) => {
    run('req', ...fresh, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'extensions'];
    run('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...by);
    return { key: readFileSync(join(folder, `${name}.key`)), cert: readFileSync(join(folder, `${name}.pem`)) };
  };
}

const make = certificates();
if (!make) console.warn('skipped: client certificates: no `openssl` here');

/** A server that asks for a certificate, and settings that name the first of two. @param more settings besides */
async function exchangeable(makePair: NonNullable<typeof make>, more: NodeJS.ProcessEnv = {}) {
  const ca = readFileSync(join(folder, 'ca.pem'));
  const refusing = (proxy = await startGrpcProxy(server.address, { ...makePair('localhost'), ca }));
  const [first, second] = [makePair('first'), makePair('second')];
  const [certificateFile, keyFile] = [join(folder, 'client.pem'), join(folder, 'client.key')];
  writeWhole(certificateFile, first.cert);
  writeWhole(keyFile, first.key);
  const found = settings({
    TEMPORAL_ADDRESS: refusing.address,
    TEMPORAL_TLS_CLIENT_CERT_PATH: certificateFile,
    TEMPORAL_TLS_CLIENT_KEY_PATH: keyFile,
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: join(folder, 'ca.pem'),
    TEMPORAL_TLS_SERVER_NAME: 'localhost',
    ...more,
  });
  return { refusing, second, certificateFile, keyFile, found };
}

describe.skipIf(!make)('client certificates', () => {
  test('a client that connects anew shows the certificate that its files hold by now', async () => {
    const { refusing, second, certificateFile, keyFile, found } = await exchangeable(make!);
    for (const [name, value] of Object.entries(found.env)) vi.stubEnv(name, value);
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const client = await connectClient(found.target);
      const caller = async (): Promise<string[]> => {
        const before = refusing.served(({ certificate }) => certificate);
        const { namespaceInfo } = await client.connection.workflowService.describeNamespace({ namespace: 'default' });
        expect(namespaceInfo?.name).toBe('default');
        const after = refusing.served(({ certificate }) => certificate);
        return [...after].filter(([name, count]) => count > (before.get(name) ?? 0)).map(([name]) => name);
      };
      expect(await caller()).toEqual(['first']);

      // The certificate comes before its key: for a moment the pair does not fit.
      writeWhole(certificateFile, second.cert);
      vi.advanceTimersByTime(10_000);
      refusing.cut();
      expect(await caller()).toEqual(['first']);
      writeWhole(keyFile, second.key);
      vi.advanceTimersByTime(10_000);
      // The connection there is goes on.
      expect(await caller()).toEqual(['first']);
      refusing.cut();
      expect(await caller()).toEqual(['second']);
      // Not even files that are gone take it away.
      rmSync(keyFile);
      vi.advanceTimersByTime(10_000);
      refusing.cut();
      expect(await caller()).toEqual(['second']);
      expect(refusing.refused).toEqual([]);
      await client.close();
    } finally {
      vi.useRealTimers();
    }
  });

  test('a worker connects anew by the certificate that its files hold by now', async () => {
    const { refusing, second, certificateFile, keyFile, found } = await exchangeable(make!);
    const log = listener();
    const worker = await startWorker('certificates', found, log);
    const servedBy = (name: string): number => refusing.served(({ certificate }) => certificate).get(name) ?? 0;
    await eventually('polls by the first certificate', () => servedBy('first') > 3);
    expect(refusing.refused).toEqual([]);

    // The certificate comes before its key: for a moment the pair does not fit.
    writeWhole(certificateFile, second.cert);
    await sleep(500);
    writeWhole(keyFile, second.key);
    await eventually('the new connection', () => log.said.includes('credentials of the Temporal server renewed'));
    refusing.accepts = ({ certificate }) => certificate === 'second';
    refusing.cut();
    const before = servedBy('second');
    await eventually('polls by the second certificate', () => servedBy('second') > before);
    await worker.stop();
    // The worker said good-bye by the new certificate, and asked for nothing by the old one after it had gone.
    expect(refusing.refused).toEqual([]);
  });

  const nameOf = (caller: Caller): string => `${caller.certificate} ${caller.apiKey}`;
  const giveApiKey = (key: string): void => writeWhole(toml, `[profile.default]\napi_key = "${key}"\n`);

  test('with an API key besides, a client shows both as they are by now', async () => {
    giveApiKey('key-1');
    const more = { TEMPORAL_CONFIG_FILE: toml };
    const { refusing, second, certificateFile, keyFile, found } = await exchangeable(make!, more);
    refusing.accepts = (caller) => nameOf(caller) === 'first key-1';
    for (const [name, value] of Object.entries(found.env)) vi.stubEnv(name, value);
    vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] });
    try {
      const client = await connectClient(found.target);
      const describeNamespace = () => client.connection.workflowService.describeNamespace({ namespace: 'default' });
      // Another key goes with the connection there is.
      giveApiKey('key-2');
      refusing.accepts = (caller) => nameOf(caller) === 'first key-2';
      vi.advanceTimersByTime(11_000);
      expect((await describeNamespace()).namespaceInfo?.name).toBe('default');

      writeWhole(certificateFile, second.cert);
      writeWhole(keyFile, second.key);
      giveApiKey('key-3');
      refusing.accepts = (caller) => nameOf(caller) === 'second key-3';
      vi.advanceTimersByTime(11_000);
      refusing.cut();
      expect((await describeNamespace()).namespaceInfo?.name).toBe('default');
      expect(refusing.refused).toEqual([]);
      expect([...refusing.served(nameOf).keys()]).toEqual(['first key-1', 'first key-2', 'second key-3']);
      await client.close();
    } finally {
      vi.useRealTimers();
    }
  });

  test('with an API key besides, a worker shows both as they are by now', async () => {
    giveApiKey('key-1');
    const more = { TEMPORAL_CONFIG_FILE: toml };
    const { refusing, second, certificateFile, keyFile, found } = await exchangeable(make!, more);
    const servedBy = (name: string): number => refusing.served(nameOf).get(name) ?? 0;
    const log = listener();
    const worker = await startWorker('both', found, log);
    const renewed = () => log.said.filter((text) => text === 'credentials of the Temporal server renewed').length;
    await eventually('polls by the first of both', () => servedBy('first key-1') > 3);
    giveApiKey('key-2');
    await eventually('the new key', () => renewed() === 1);
    refusing.accepts = (caller) => nameOf(caller) === 'first key-2';
    // Polls that were begun by the first key end.
    refusing.cut();
    await eventually('polls by the second key', () => servedBy('first key-2') > 0);

    refusing.accepts = (caller) => ['first key-2', 'second key-3'].includes(nameOf(caller));
    giveApiKey('key-3');
    writeWhole(certificateFile, second.cert);
    writeWhole(keyFile, second.key);
    await eventually('the new connection', () => servedBy('second key-3') > 0);
    refusing.accepts = (caller) => nameOf(caller) === 'second key-3';
    refusing.cut();
    const before = servedBy('second key-3');
    await eventually('polls by the last of both', () => servedBy('second key-3') > before);
    await worker.stop();
  });
});
