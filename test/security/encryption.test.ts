/**
 * Runs with encrypted payloads on a real server: its histories hold no plain text, and keys are rotated in the middle of a run without a break.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import {
  decodeOptionalFailureToOptionalError,
  encodeErrorToFailure,
  loadDataConverter,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dataConverter } from '../../infra/temporal/payloadCodec.ts';
import { progressQuery } from '../../workflows/messages.ts';
import { cada } from '../cli/runCommand.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';
import { startTestServer, type TestServer } from '../servers/temporalServer.ts';
import { tinyConfiguration } from '../workflows/cluster.ts';
import { startCommand, startWorkers, type RunningCommand } from '../workflows/commands.ts';

const newKey = () => randomBytes(32).toString('base64');
const [old, fresh] = [`old:${newKey()}`, `fresh:${newKey()}`];

let folder: string;
let temporal: TestServer;
let workers: RunningCommand[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-encrypted-'));
  temporal = await startTestServer({ database: true });
}, 60_000);
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await temporal?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('histories hold no plain text; keys rotate in mid-run', { timeout: 400_000 }, async () => {
  const modelPath = join(folder, 'model');
  await writeTinyChainModel(modelPath);
  const file = join(folder, 'run.yaml');
  const iteration = { count: 2, requests: { harmful: 2, plain: 1, lookAlike: 1 }, samplesPerRequest: 4 };
  await writeFile(file, JSON.stringify(tinyConfiguration(modelPath, { iteration })));
  const env = (keys: string): NodeJS.ProcessEnv => ({
    TEMPORAL_ADDRESS: temporal.address,
    CADA_PAYLOAD_KEYS: keys,
    CADA_HOME: join(folder, 'home'),
    CADA_CACHE: join(folder, 'cache'),
    CADA_STORE: join(folder, 'store'),
  });
  const start = async (keys: string): Promise<void> => {
    workers = await startWorkers(['control', 'gpu', 'judge'], env(keys), join(folder, 'logs'));
  };
  // First every process knows the new key, then the new one encrypts, then the old one goes when no run needs it.
  await start(`${old},${fresh}`);
  const training = startCommand(['train', file], env(`${old},${fresh}`));
  await training.until('warm start', 120_000);
  await Promise.all(workers.map((worker) => worker.stop()));
  await start(`${fresh},${old}`);
  expect(await training.ended, training.output()).toBe(0);

  const runId = /^run (\S+)$/m.exec(training.output())![1]!;
  const connection = await Connection.connect({ address: temporal.address });
  try {
    const client = new Client({ connection, dataConverter: dataConverter(env(`${fresh},${old}`)) });
    const history = historyToJSON(await client.workflow.getHandle(runId).fetchHistory());
    const payloads = [...history.matchAll(/"data":\s*"([A-Za-z0-9+/=]+)"/g)].map((match) =>
      Buffer.from(match[1]!, 'base64'),
    );
    expect(payloads.length).toBeGreaterThan(30);
    for (const word of ['sha256', 'store', 'adapter', 'chains', 'iteration 1', 'resolve, check']) {
      expect(payloads.filter((payload) => payload.includes(word))).toEqual([]);
    }
    const database = await readFile(join(temporal.folder, 'history.db'));
    for (const word of ['"sha256"', 'objects/', 'evaluate before: choose requests'])
      expect(database.includes(word)).toBe(false);
    const ids = [...history.matchAll(/"encryption-key-id":\s*"([^"]+)"/g)].map((match) =>
      Buffer.from(match[1]!, 'base64').toString(),
    );
    expect(new Set(ids)).toEqual(new Set(['old', 'fresh']));
    expect(ids.indexOf('old')).toBeLessThan(ids.indexOf('fresh'));

    // With both keys the run can still be asked; with one of them, or none, that is told.
    const { state } = await client.workflow.getHandle(runId).query(progressQuery);
    expect(state).toBe('done');
    const poorer = new Client({ connection, dataConverter: dataConverter({ CADA_PAYLOAD_KEYS: old }) });
    await expect(poorer.workflow.getHandle(runId).result()).rejects.toThrow(
      'encrypted with the key "fresh", which is not in',
    );
    const without = new Client({ connection, dataConverter: dataConverter({}) });
    await expect(without.workflow.getHandle(runId).result()).rejects.toThrow('CADA_PAYLOAD_KEYS is not set');
  } finally {
    await connection.close();
  }
  // The keys themselves are nowhere: not in logs, store, database or what was shown.
  const keys = [old, fresh].map((entry) => entry.split(':')[1]!);
  for (const key of keys) expect(training.output()).not.toContain(key);
  for (const place of [folder, temporal.folder]) {
    for (const name of await readdir(place, { recursive: true, withFileTypes: true })) {
      if (!name.isFile()) continue;
      const bytes = await readFile(join(name.parentPath, name.name));
      for (const key of keys) expect(bytes.includes(key), name.name).toBe(false);
    }
  }
  const status = await cada(['status', '--json'], { env: env(`${fresh},${old}`) });
  expect(JSON.parse(status.stdout)).toMatchObject({ runId, state: 'done' });
});

test("a failure's message and stack are encrypted too", async () => {
  const loaded = loadDataConverter(dataConverter({ CADA_PAYLOAD_KEYS: fresh }));
  const failure = await encodeErrorToFailure(
    loaded,
    new Error('a chain was quoted', { cause: new Error('and another') }),
  );
  expect(failure.message).toBe('Encoded failure');
  expect(failure.cause?.message).toBe('Encoded failure');
  const written = JSON.stringify(failure, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString() : value,
  );
  expect(written).not.toMatch(/quoted|another|encryption\.test/);
  const back = await decodeOptionalFailureToOptionalError(loaded, failure);
  expect(back?.message).toBe('a chain was quoted');
});
