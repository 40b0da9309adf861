import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ExternalTemporal } from '../../../infra/temporal/connection.ts';
import {
  connectClient,
  connectWorker,
  embeddedEnvironment,
  resolveTemporal,
} from '../../../infra/temporal/connection.ts';
import { freePorts } from '../../../infra/temporal/freePorts.ts';
import type { TestServer } from '../../servers/temporalServer.ts';
import { startTestServer } from '../../servers/temporalServer.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-connection-'));
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** No settings of the machine that runs the tests: its own temporal.toml must not count. */
const bare = { HOME: folder, XDG_CONFIG_HOME: join(folder, 'config') };
const external = (env: NodeJS.ProcessEnv): ExternalTemporal => {
  const target = resolveTemporal({ ...bare, ...env });
  if (target.kind !== 'external') throw new Error('expected an external server');
  return target;
};

describe('resolveTemporal', () => {
  it('means an embedded server when nothing names an address', () => {
    expect(resolveTemporal(bare)).toEqual({ kind: 'embedded' });
    expect(resolveTemporal({ ...bare, TEMPORAL_NAMESPACE: 'research' })).toEqual({ kind: 'embedded' });
  });

  it('takes the environment before the run configuration before temporal.toml', () => {
    const file = join(folder, 'temporal.toml');
    writeFileSync(file, '[profile.default]\naddress = "file:1"\nnamespace = "from-file"\n');
    const env = { ...bare, TEMPORAL_CONFIG_FILE: file };
    expect(resolveTemporal(env)).toMatchObject({ address: 'file:1', namespace: 'from-file', source: 'temporal.toml' });
    expect(resolveTemporal(env, { address: 'yaml:2' })).toMatchObject({
      address: 'yaml:2',
      namespace: 'from-file',
      source: 'the run configuration',
      connection: { address: 'yaml:2' },
    });
    expect(resolveTemporal({ ...env, TEMPORAL_ADDRESS: 'env:3' }, { address: 'yaml:2', namespace: 'n' })).toMatchObject(
      {
        address: 'env:3',
        namespace: 'n',
        source: 'TEMPORAL_ADDRESS',
      },
    );
  });

  it('turns TLS on with an API key, and reads certificates', () => {
    expect(external({ TEMPORAL_ADDRESS: 'cloud:7233', TEMPORAL_API_KEY: 'secret' }).connection).toEqual({
      address: 'cloud:7233',
      apiKey: 'secret',
      tls: true,
    });
    const certificate = join(folder, 'client.pem');
    const key = join(folder, 'client.key');
    writeFileSync(certificate, 'CERTIFICATE');
    writeFileSync(key, 'KEY');
    const { tls } = external({
      TEMPORAL_ADDRESS: 'cloud:7233',
      TEMPORAL_TLS_CLIENT_CERT_PATH: certificate,
      TEMPORAL_TLS_CLIENT_KEY_PATH: key,
      TEMPORAL_TLS_SERVER_NAME: 'inside',
    }).connection;
    expect(tls).toMatchObject({
      serverNameOverride: 'inside',
      clientCertPair: { crt: new TextEncoder().encode('CERTIFICATE'), key: new TextEncoder().encode('KEY') },
    });
  });

  it('gives workers of an embedded server no settings of another one', () => {
    const file = join(folder, 'cloud.toml');
    writeFileSync(file, '[profile.default]\nnamespace = "cloud"\napi_key = "secret"\n[profile.default.tls]\n');
    const env = {
      ...bare,
      TEMPORAL_CONFIG_FILE: file,
      TEMPORAL_API_KEY: 'secret',
      TEMPORAL_TLS: 'true',
      TEMPORAL_PROFILE: 'default',
    };
    const endpoint = { address: '127.0.0.1:7000', namespace: 'default' };
    expect(resolveTemporal(embeddedEnvironment(env, endpoint))).toEqual({
      kind: 'external',
      ...endpoint,
      source: 'TEMPORAL_ADDRESS',
      connection: { address: '127.0.0.1:7000' },
    });
    expect(embeddedEnvironment(env, endpoint).HOME).toBe(folder);
  });

  it.each([
    [{ TEMPORAL_API_KEY: 'secret' }, /no address: set TEMPORAL_ADDRESS/],
    [{ TEMPORAL_ADDRESS: 'https://cloud:7233' }, /must be host:port without a scheme/],
    [{ TEMPORAL_ADDRESS: 'cloud:7233', TEMPORAL_PROFILE: 'nobody' }, /can not be read: Profile 'nobody' not found/],
    [
      {
        TEMPORAL_ADDRESS: 'cloud:7233',
        TEMPORAL_TLS_CLIENT_CERT_PATH: '/nowhere.pem',
        TEMPORAL_TLS_CLIENT_KEY_PATH: '/nowhere.key',
      },
      /cloud:7233 can not be read: .*nowhere\.pem/,
    ],
    [{ TEMPORAL_ADDRESS: 'cloud:7233', TEMPORAL_TLS_CLIENT_CERT_DATA: 'x' }, /both a certificate and a key/],
  ])('refuses %j', (env, message) => {
    expect(() => resolveTemporal({ ...bare, ...env })).toThrow(message);
  });

  it('names the broken configuration file', () => {
    const file = join(folder, 'broken.toml');
    writeFileSync(file, '[profile.default\n');
    expect(() => resolveTemporal({ ...bare, TEMPORAL_CONFIG_FILE: file })).toThrow(/temporal\.toml.*can not be read/);
  });
});

describe('connecting', () => {
  it('reaches a real server as client and as worker', async () => {
    const connected = await connectClient(server);
    expect(connected.serverVersion).toMatch(/^1\.\d+\.\d+/);
    expect(connected.client.options.namespace).toBe('default');
    await connected.close();
    const worker = await connectWorker(external({ TEMPORAL_ADDRESS: server.address }));
    const description = await worker.workflowService.describeNamespace({ namespace: 'default' });
    expect(description.namespaceInfo?.name).toBe('default');
    await worker.close();
  });

  it('names a missing namespace', async () => {
    const endpoint = external({ TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: 'research' });
    await expect(connectClient(endpoint)).rejects.toThrow(
      `server at ${server.address} has no namespace "research": create it`,
    );
  });

  it('says that nothing listens at the address, to clients and workers', async () => {
    const [port] = await freePorts(1);
    const endpoint = external({ TEMPORAL_ADDRESS: `127.0.0.1:${port}` });
    const message = `No Temporal server can be reached at 127.0.0.1:${port} (connection refused: nothing listens there)`;
    await expect(connectClient(endpoint, 1000)).rejects.toThrow(message);
    await expect(connectWorker(endpoint, 1000)).rejects.toThrow(message);
  });

  it('gives up on a server that takes connections and never answers', async () => {
    const silent = createServer(() => {});
    await listening(silent);
    const endpoint = external({ TEMPORAL_ADDRESS: addressOf(silent) });
    await expect(connectClient(endpoint, 500)).rejects.toThrow(/does not answer as a Temporal server/);
    await expect(connectWorker(endpoint, 500)).rejects.toThrow(/no answer within 0\.5 s/);
    silent.close();
  });

  it('tells TLS that is not spoken there from a certificate that is not trusted', async () => {
    const plain = external({ TEMPORAL_ADDRESS: server.address, TEMPORAL_TLS: 'true' });
    await expect(connectClient(plain, 1000)).rejects.toThrow(/it does not speak TLS.*unset TEMPORAL_TLS/);

    const [key, certificate] = [join(folder, 'server.key'), join(folder, 'server.pem')];
    try {
      const subject = ['-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
      execFileSync(
        'openssl',
        ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, ...subject],
        { stdio: 'ignore' },
      );
    } catch {
      console.warn('the check of an untrusted certificate is left out: no `openssl` here');
      return;
    }
    const secure = createSecureServer({ key: readFileSync(key), cert: readFileSync(certificate) });
    await listening(secure);
    const address = addressOf(secure).replace('127.0.0.1', 'localhost');
    const untrusted = external({ TEMPORAL_ADDRESS: address, TEMPORAL_TLS: 'true' });
    await expect(connectClient(untrusted, 1000)).rejects.toThrow(
      /self-signed certificate.*TEMPORAL_TLS_SERVER_CA_CERT_PATH/,
    );
    // With the authority named, TLS is fine; what answers is no Temporal server.
    const trusted = external({
      TEMPORAL_ADDRESS: address,
      TEMPORAL_TLS: 'true',
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: certificate,
    });
    await expect(connectClient(trusted, 1000)).rejects.toThrow(/does not answer as a Temporal server/);
    secure.close();
  });
});

async function listening(listener: Pick<Server, 'listen'>): Promise<void> {
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
}

function addressOf(listener: Pick<Server, 'address'>): string {
  return `127.0.0.1:${(listener.address() as AddressInfo).port}`;
}
