/** Workers that are asked to stop (SIGTERM, a spot notice) in the middle of a shard: it is finished, or handed back at once, and nothing waits for a timeout. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StatusJson } from '../../cli/status.ts';
import { drainingOf } from '../../workers/draining.ts';
import { cada } from '../cli/runCommand.ts';
import { eventually, startTestServer, type TestServer } from '../servers/temporalServer.ts';
import { createInstallation, type TestInstallation } from '../workflows/cluster.ts';
import { startWorkers, type RunningCommand } from '../workflows/commands.ts';
import { computedAgain, readLedger, type LedgerEntry } from '../workflows/ledger.ts';
import { startedEngineOf } from '../workflows/workerEngine.ts';

describe('CADA_DRAIN_SECONDS', () => {
  test('gives the shard at work its time; without it the engine is killed at once', () => {
    expect(drainingOf({})).toEqual({ finishes: false, graceMs: 4_000, forceMs: 8_000 });
    expect(drainingOf({ CADA_DRAIN_SECONDS: '' })).toEqual(drainingOf({ CADA_DRAIN_SECONDS: '0' }));
    expect(drainingOf({ CADA_DRAIN_SECONDS: '90' })).toEqual({ finishes: true, graceMs: 90_000, forceMs: 94_000 });
    // No shorter than without it.
    expect(drainingOf({ CADA_DRAIN_SECONDS: '1' }).graceMs).toBe(4_000);
  });
  test.each(['-1', '1.5', 'soon', '86401', '1e3'])('is not %s', (value) => {
    expect(() => drainingOf({ CADA_DRAIN_SECONDS: value })).toThrow(`CADA_DRAIN_SECONDS=${value} is not allowed`);
  });
});

describe('SIGTERM in the middle of a shard', () => {
  let folder: string;
  let installation: TestInstallation;
  let temporal: TestServer;
  const workers: RunningCommand[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cada-drain-'));
    installation = await createInstallation();
    const { configuration } = installation;
    // One shard each; the warm start's takes seconds, so that it is certainly at work when its worker is asked to stop.
    configuration.shards.generationRequests = 1000;
    configuration.warmStart.samplesPerRequest = 80;
    configuration.warmStart.keepPerKind = { harmful: 4, plain: 4, lookAlike: 4 };
    configuration.iteration.count = 1;
    temporal = await startTestServer();
  }, 60_000);
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await temporal?.stop();
    await installation?.remove();
    await rm(folder, { recursive: true, force: true });
  });

  test('the shard is finished within the time that is set; without one it is handed back and done elsewhere', async () => {
    const machine = (name: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv => ({
      TEMPORAL_ADDRESS: temporal.address,
      CADA_STORE: installation.store.uri,
      CADA_HOME: join(folder, name),
      ...more,
    });
    const logs = (name: string): string => join(folder, 'logs', name);
    const start = async (kind: 'control' | 'gpu' | 'judge', name: string, more?: NodeJS.ProcessEnv) => {
      const [worker] = await startWorkers([kind], machine(name, more), logs(name));
      workers.push(worker!);
      return worker!;
    };
    /** The shard whose chains a fresh worker begins with: its engine starts first, so it is not done in a moment. */
    const shardBegun = async (name: string): Promise<LedgerEntry> => {
      let found: LedgerEntry | undefined;
      await eventually(
        `a shard at work on ${name}`,
        async () =>
          (found = (await readLedger(logs(name))).find(({ stage }) => stage === 'generateChains')) !== undefined,
        60_000,
      );
      return found!;
    };
    const ended = async (name: string, key: string): Promise<boolean> =>
      (await readLedger(logs(name))).some((entry) => entry.msg === 'has' && entry.key === key && !entry.cached);

    /** A shard whose engine is stopped in the middle of it: on a quick machine it would be done before its worker is asked to stop. */
    const shardHeld = async (name: string, pid: number): Promise<LedgerEntry> => {
      for (;;) {
        let begun: LedgerEntry | undefined;
        await eventually(
          `a shard unfinished on ${name}`,
          async () => {
            begun = (await readLedger(logs(name))).findLast(({ stage }) => stage === 'generateChains');
            return begun?.msg === 'computes';
          },
          60_000,
        );
        const engine = await startedEngineOf(pid);
        process.kill(engine, 'SIGSTOP');
        // What was already on its way to the worker arrives in this time.
        await sleep(1000);
        if (!(await ended(name, begun!.key))) return begun!;
        process.kill(engine, 'SIGCONT');
      }
    };

    await start('control', 'control');
    await start('judge', 'judge');
    const configurationFile = join(folder, 'run.yaml');
    await writeFile(configurationFile, JSON.stringify(installation.configuration));
    const { stdout, stderr } = await cada(['train', configurationFile, '--detach'], { env: machine('laptop') });
    const runId = /^run (\S+)$/m.exec(stdout)?.[1];
    expect(runId, stderr).toBeDefined();

    const patient = await start('gpu', 'patient', { CADA_DRAIN_SECONDS: '60' });
    const finished = await shardBegun('patient');
    expect(await ended('patient', finished.key)).toBe(false);
    expect(await patient.stop('SIGTERM')).toBe(0);
    expect(await ended('patient', finished.key)).toBe(true);

    const hasty = await start('gpu', 'hasty');
    const given = await shardHeld('hasty', hasty.pid);
    expect(given.key).not.toBe(finished.key);
    expect(await hasty.stop('SIGTERM')).toBe(0);
    expect(await ended('hasty', given.key)).toBe(false);
    // Told by the worker as it went: without it the server would notice by the heartbeat timeout only.
    const connection = await Connection.connect({ address: temporal.address });
    const client = new Client({ connection });
    const handedBack = async () => {
      for await (const { workflowId } of client.workflow.list({ query: 'ExecutionStatus = "Running"' })) {
        const { raw } = await client.workflow.getHandle(workflowId).describe();
        const pending = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'generateChains');
        if (pending?.lastFailure) return pending;
      }
      return undefined;
    };
    await eventually('the shard is given back', async () => (await handedBack()) !== undefined);
    const pending = (await handedBack())!;
    expect(pending.lastFailure!.timeoutFailureInfo).toBeFalsy();
    expect(pending.attempt).toBeGreaterThan(1);
    await connection.close();

    await start('gpu', 'last');
    const watched = await cada(['watch', runId!], { env: machine('laptop') });
    expect(watched.code, watched.stderr).toBe(0);
    const status = await cada(['status', runId!, '--json'], { env: machine('laptop') });
    expect((JSON.parse(status.stdout) as StatusJson).state).toBe('done');
    const ledger = (await Promise.all(['patient', 'hasty', 'last'].map((name) => readLedger(logs(name))))).flat();
    expect(computedAgain(ledger)).toEqual(['generateChains']);
  }, 240_000);
});
