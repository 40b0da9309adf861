/** A run that is a unit of a study is found on the study's embedded server, by its own name alone. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { endpointOf, withRun } from '../../cli/operate/runServer.ts';
import { runFolders } from '../../infra/paths.ts';
import { connectClient, type ConnectedClient } from '../../infra/temporal/connection.ts';
import { startEmbeddedServer, type EmbeddedServer } from '../../infra/temporal/embeddedServer.ts';
import { temporalBinary } from '../servers/temporalServer.ts';

const home = mkdtempSync(join(tmpdir(), 'cada-run-server-'));
let server: EmbeddedServer;
let connected: ConnectedClient;

beforeAll(async () => {
  const { temporalDatabase, logs } = runFolders(home, 'study-1');
  server = await startEmbeddedServer({
    ...{ binaryPath: await temporalBinary(), databaseFile: temporalDatabase, headless: true },
    logFile: join(logs, 'temporal.log'),
  });
  connected = await connectClient(server);
  // No worker: what is started is at work until it is ended.
  for (const workflowId of ['unit-1', 'unit-2'])
    await connected.client.workflow.start('alignPolicy', { workflowId, taskQueue: 'cada-control' });
  await connected.client.workflow.getHandle('unit-2').terminate();
  // What others have left there: a server that is down, a run on a cluster, a file of the system.
  const left = join(dirname(runFolders(home, 'ended').temporalDatabase), 'server.json');
  mkdirSync(dirname(left), { recursive: true });
  writeFileSync(left, JSON.stringify({ port: 1, pid: 2 ** 22 + 1, ownerPid: 2 ** 22 + 1 }));
  mkdirSync(runFolders(home, 'far-away').root, { recursive: true });
  writeFileSync(join(home, 'runs', '.DS_Store'), '');
}, 120_000);
afterAll(async () => {
  await connected?.close();
  await server?.stop();
  rmSync(home, { recursive: true, force: true });
});
beforeEach(() => {
  for (const name of ['TEMPORAL_ADDRESS', 'TEMPORAL_API_KEY']) vi.stubEnv(name, '');
  vi.stubEnv('TEMPORAL_CONFIG_FILE', join(home, 'none.toml'));
});
afterEach(() => vi.unstubAllEnvs());

test('the study itself, and a unit of it that is at work, are on its server; one that has ended, and another run, are on none', async () => {
  expect(await endpointOf({ home, runId: 'study-1' })).toMatchObject({ address: server.address });
  expect(await endpointOf({ home, runId: 'unit-1' })).toMatchObject({ address: server.address, namespace: 'default' });
  for (const runId of ['unit-2', 'unit-3', 'ended', 'far-away'])
    expect(await endpointOf({ home, runId }), runId).toBeUndefined();
  // A home where nothing has ever run.
  expect(await endpointOf({ home: join(home, 'none'), runId: 'unit-1' })).toBeUndefined();
});

test('commands reach the unit there', async () => {
  const request = { home, runId: 'unit-1', storeUri: join(home, 'store'), signal: new AbortController().signal };
  const { workflowId, status } = await withRun(request, (_, handle) => handle.describe());
  expect([workflowId, status.name]).toEqual(['unit-1', 'RUNNING']);
  await expect(withRun({ ...request, runId: 'unit-2' }, (_, handle) => handle.describe())).rejects.toThrow(
    'No Temporal server is up for run unit-2.',
  );
});

test('a configured server is the one', async () => {
  vi.stubEnv('TEMPORAL_ADDRESS', 'cluster:7233');
  expect(await endpointOf({ home, runId: 'unit-1' })).toMatchObject({ address: 'cluster:7233' });
});
