/**
 * A run as a cluster does it: a Temporal server and an S3 server that are already there, workers with folders of their own, `cada train --detach` and
 * `cada watch`, all as processes that find each other by environment variables.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StatusJson } from '../../cli/status.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { listHistories } from '../../infra/artifacts/runs.ts';
import { cada } from '../cli/runCommand.ts';
import { findS3Server, startS3Server, type S3Server } from '../servers/s3Server.ts';
import { startTestServer, type TestServer } from '../servers/temporalServer.ts';
import { createInstallation, type TestInstallation } from './cluster.ts';
import { startCommand, startWorkers, type RunningCommand } from './commands.ts';
import { computedAgain, readLedger } from './ledger.ts';

const s3Choice = await findS3Server();
if ('missing' in s3Choice) console.warn(`skipped: the cluster with S3: ${s3Choice.missing}`);

let folder: string;
let installation: TestInstallation;
let configurationFile: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-cluster-'));
  installation = await createInstallation();
  configurationFile = join(folder, 'run.yaml');
  // JSON is YAML.
  await writeFile(configurationFile, JSON.stringify(installation.configuration));
});
afterAll(async () => {
  await installation?.remove();
  await rm(folder, { recursive: true, force: true });
});

test('--detach without a Temporal server that is already there is refused', async () => {
  const { code, stderr } = await cada(['train', configurationFile, '--detach']);
  expect(stderr).toContain('--detach needs a Temporal server that outlives this command');
  expect(stderr).toContain('TEMPORAL_ADDRESS');
  expect(code).toBe(2);
});

test("a folder as the store is refused where the Temporal server is another machine's", async () => {
  const env = { TEMPORAL_ADDRESS: 'temporal.example.com:7233' };
  for (const args of [
    ['train', configurationFile, '--detach'],
    ['worker', '--kind', 'gpu'],
  ]) {
    const { code, stderr } = await cada(args, { env });
    expect(stderr).toContain('temporal.example.com:7233 is not on this machine');
    expect(stderr).toContain('CADA_STORE=s3://bucket/prefix');
    expect(code).toBe(2);
  }
});

describe.skipIf('missing' in s3Choice)('with Temporal and S3 by address', () => {
  let temporal: TestServer;
  let s3: S3Server;
  const workers: RunningCommand[] = [];

  beforeAll(async () => {
    temporal = await startTestServer();
    s3 = await startS3Server(s3Choice as Exclude<typeof s3Choice, { missing: string }>);
  }, 60_000);
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await temporal?.stop();
    await s3?.stop();
  });

  test('two gpu workers give the adapter of the embedded run; a queue without workers is told', async () => {
    const embedded = installation.train('embedded');
    const store = `s3://${await s3.makeBucket()}/cada`;
    const shared = { TEMPORAL_ADDRESS: temporal.address, CADA_STORE: store, ...s3.env };
    const machine = (name: string): NodeJS.ProcessEnv => ({
      ...shared,
      CADA_HOME: join(folder, name, 'home'),
      CADA_CACHE: join(folder, name, 'cache'),
    });
    // For what this test reads itself.
    Object.assign(process.env, s3.env);
    const logs = join(folder, 'logs');
    workers.push(...(await startWorkers(['control'], machine('control'), logs)));
    workers.push(...(await startWorkers(['judge'], machine('judge'), logs)));

    const started = await cada(['train', configurationFile, '--detach'], { env: machine('laptop') });
    expect(started.stderr).toBe('');
    expect(started.code).toBe(0);
    const runId = /^run (\S+)$/m.exec(started.stdout)![1]!;
    expect(started.stdout).toContain(`cada watch ${runId}`);

    const watching = startCommand(['watch', runId], machine('elsewhere'));
    await watching.until('waiting for a gpu worker: start one with `cada worker --kind gpu`', 60_000);
    const gpuLogs = [join(logs, 'gpu-1'), join(logs, 'gpu-2')];
    for (const [index, log] of gpuLogs.entries())
      workers.push(...(await startWorkers(['gpu'], machine(`gpu-${index}`), log)));
    expect(await watching.ended, watching.output()).toBe(0);

    const status = await cada(['status', runId, '--json'], { env: machine('elsewhere') });
    const { state, adapter } = JSON.parse(status.stdout) as StatusJson;
    expect(state).toBe('done');
    expect(adapter!.sha256).toBe((await embedded).record.policy!.adapter!.sha256);

    const ledgers = await Promise.all(gpuLogs.map((log) => readLedger(log)));
    for (const ledger of ledgers) expect(ledger.length).toBeGreaterThan(5);
    expect(computedAgain(ledgers.flat())).toEqual([]);
    // Who watches to the end keeps the histories.
    expect((await listHistories(await openStore(store), runId)).length).toBe(7);
  }, 240_000);
});
