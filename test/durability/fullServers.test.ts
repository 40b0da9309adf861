/**
 * The disks of the servers are full for a while: first that of the S3 server, then that of Temporal's database. The run waits, says why, shows nothing half
 * written, and goes on by itself once there is room: with the adapter of an undisturbed run.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cada } from '../cli/runCommand.ts';
import { findS3Server, startS3Server, type S3Server, type S3ServerChoice } from '../servers/s3Server.ts';
import { eventually, startTestServer, type TestServer } from '../servers/temporalServer.ts';
import { createInstallation, type TestInstallation } from '../workflows/cluster.ts';
import { startCommand, startWorkers, type RunningCommand } from '../workflows/commands.ts';
import { readLedger } from '../workflows/ledger.ts';
import { fillDisk, smallDisk, type SmallDisk } from './smallDisk.ts';

const choice = await findS3Server();
/** The S3 server's; mounted only where the test is run. */
const disk =
  'missing' in choice
    ? choice
    : choice.kind === 'external'
      ? { missing: "the given S3 server's disk is not ours to fill" }
      : await smallDisk();
const missing = 'missing' in disk ? disk.missing : undefined;
if (missing) console.warn(`skipped: servers whose disks are full: ${missing}`);

describe.skipIf(missing)('a run whose servers have no room left', () => {
  const disks: SmallDisk[] = 'folder' in disk ? [disk] : [];
  const workers: RunningCommand[] = [];
  let folder: string;
  let installation: TestInstallation;
  let undisturbed: string;
  let s3: S3Server;
  let temporal: TestServer;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cada-full-'));
    const settings = { requests: { harmful: 2, plain: 1, lookAlike: 1 }, samplesPerRequest: 4, learningRate: 3e-4 };
    installation = await createInstallation({ iteration: { ...settings, count: 2 } });
    undisturbed = (await installation.train('undisturbed')).record.policy!.adapter!.sha256;
    const other = await smallDisk();
    if ('missing' in other) throw new Error(other.missing);
    disks.push(other);
    s3 = await startS3Server(choice as S3ServerChoice, disks[0]!.folder);
    temporal = await startTestServer({
      database: true,
      within: disks[1]!.folder,
      // As a service manager would: again and again, until there is room.
      onExit: () => void startAgain(),
    });
  }, 300_000);
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.stop('SIGKILL')));
    await temporal?.stop();
    await s3?.stop();
    await installation?.remove();
    for (const each of disks) await each.remove();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  async function startAgain(): Promise<void> {
    for (;;) {
      await sleep(1_000);
      try {
        return await temporal.restart();
      } catch (error) {
        if (/has been stopped/.test(String(error))) return;
      }
    }
  }

  test('waits for room and ends with the same adapter', async () => {
    const logs = join(folder, 'logs');
    const bucket = await s3.makeBucket();
    const env: NodeJS.ProcessEnv = {
      ...s3.env,
      CADA_STORE: `s3://${bucket}/cada`,
      TEMPORAL_ADDRESS: temporal.address,
      CADA_HOME: join(folder, 'home'),
      CADA_CACHE: join(folder, 'cache'),
    };
    const configurationFile = join(folder, 'run.yaml');
    await writeFile(configurationFile, JSON.stringify(installation.configuration));
    workers.push(...(await startWorkers(['control', 'gpu', 'judge'], env, logs)));
    const training = startCommand(['train', configurationFile], env);
    const said = (): string => workers.map((worker) => worker.output()).join('');
    const computed = async (stage: string, times: number): Promise<void> =>
      eventually(
        `${stage} for the ${times}th time`,
        async () => (await readLedger(logs)).filter((e) => e.stage === stage && e.msg === 'computes').length >= times,
        120_000,
      );
    await computed('generateChains', 3);
    const freeS3 = await fillDisk(disks[0]!.folder);
    await eventually(
      'a stage meets the full store',
      () => /has no room left \(InsufficientStorage/.test(said()),
      90_000,
    );
    await wholeObjects(join(s3.folder!, bucket, 'cada', 'objects'));
    expect(await stateOf(env)).toBe('running');
    await freeS3();

    await computed('computeGradients', 2);
    const { pid } = temporal;
    const freeTemporal = await fillDisk(disks[1]!.folder);
    // It ends by itself where its log is on that disk too; else it refuses every write.
    const client = new Client({ connection: Connection.lazy({ address: temporal.address }) });
    const canWrite = async (): Promise<boolean> =>
      temporal.pid === pid &&
      temporal.running &&
      client
        .withDeadline(Date.now() + 3_000, () =>
          client.workflow.start('anything', { taskQueue: 'nobody', workflowId: randomUUID() }),
        )
        .then(
          () => true,
          () => false,
        );
    await eventually('the server can write nothing', async () => !(await canWrite()), 60_000);
    await sleep(5_000);
    await freeTemporal();

    expect(await training.ended, training.output()).toBe(0);
    const status = await cada(['status', '--json'], { env });
    await wholeObjects(join(s3.folder!, bucket, 'cada', 'objects'));
    expect(JSON.parse(status.stdout)).toMatchObject({ state: 'done', adapter: { sha256: undisturbed } });
  }, 400_000);
});

async function stateOf(env: NodeJS.ProcessEnv): Promise<string> {
  return (JSON.parse((await cada(['status', '--json'], { env })).stdout) as { state: string }).state;
}

/** What can be seen is whole: each object has the digest that is its name. */
async function wholeObjects(objects: string): Promise<void> {
  for (const name of await readdir(objects)) {
    const bytes = await readFile(join(objects, name));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(name);
  }
}
