import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { afterAll, afterEach, expect, it } from 'vitest';
import type { EmbeddedServer, EmbeddedServerOptions } from '../../../infra/temporal/embeddedServer.ts';
import { startEmbeddedServer } from '../../../infra/temporal/embeddedServer.ts';
import { runningServer } from '../../../infra/temporal/runningServer.ts';
import { eventually, startTestServer, temporalBinary } from '../../servers/temporalServer.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-embedded-'));
const started: EmbeddedServer[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.stop()));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let databases = 0;
async function start(options: Partial<EmbeddedServerOptions> = {}): Promise<EmbeddedServer> {
  const name = `db-${databases++}`;
  const server = await startEmbeddedServer({
    binaryPath: await temporalBinary(),
    databaseFile: join(folder, name, 'history.db'),
    logFile: join(folder, name, 'temporal.log'),
    headless: true,
    ...options,
  });
  started.push(server);
  return server;
}

/** Starts a workflow that no worker will run, or reads the status of one: enough to see whether history is kept. */
async function withClient<T>(server: EmbeddedServer, act: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address: server.address, connectTimeout: 10_000 });
  try {
    return await act(new Client({ connection, namespace: server.namespace }));
  } finally {
    await connection.close();
  }
}

it('keeps histories over SIGKILL, on the same port, for ten years', async () => {
  const exits: unknown[] = [];
  const server = await start({ searchAttributes: { Iteration: 'Int' }, onExit: (exit) => exits.push(exit) });
  await withClient(server, async (client) => {
    await client.workflow.start('alignPolicy', {
      taskQueue: 'control',
      workflowId: 'run-1',
      searchAttributes: { Iteration: [7] },
    });
  });
  const before = { address: server.address, pid: server.pid };
  process.kill(server.pid, 'SIGKILL');
  await eventually('the end is reported', () => exits.length === 1);
  expect(exits).toEqual([{ code: null, signal: 'SIGKILL' }]);
  expect(server.running).toBe(false);
  await server.restart();
  expect(server.address).toBe(before.address);
  expect(server.pid).not.toBe(before.pid);
  await withClient(server, async (client) => {
    const description = await client.workflow.getHandle('run-1').describe();
    expect(description.status.name).toBe('RUNNING');
    expect(description.searchAttributes).toEqual({ Iteration: [7] });
    const { config } = await client.workflowService.describeNamespace({ namespace: server.namespace });
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(3650 * 86_400);
  });
  await server.stop();
  expect(exits).toHaveLength(1);
  await expect(server.restart()).rejects.toThrow('has been stopped');
});

it('a later start on the same database takes the same port, accepts new search attributes, and refuses a second server', async () => {
  const databaseFile = join(folder, 'again', 'history.db');
  const first = await start({ databaseFile, searchAttributes: { Iteration: 'Int' } });
  await first.stop();
  const second = await start({ databaseFile, searchAttributes: { Iteration: 'Int', Stage: 'Keyword' } });
  expect(second.address).toBe(first.address);
  await withClient(second, async (client) => {
    const handle = await client.workflow.start('alignPolicy', {
      taskQueue: 'control',
      workflowId: 'run-2',
      searchAttributes: { Iteration: [1], Stage: ['train'] },
    });
    expect((await handle.describe()).searchAttributes).toEqual({ Iteration: [1], Stage: ['train'] });
  });
  expect(await runningServer(databaseFile)).toEqual({ address: second.address, namespace: 'default' });
  await expect(start({ databaseFile })).rejects.toThrow(
    `is in use: process ${second.pid} serves it at ${second.address}`,
  );
});

it('starts on the database of a command that was killed, as soon as its server has ended', async () => {
  const databaseFile = join(folder, 'orphaned', 'history.db');
  const source = new URL('../../../infra/temporal/embeddedServer.ts', import.meta.url).href;
  const options = {
    binaryPath: await temporalBinary(),
    databaseFile,
    logFile: join(folder, 'orphaned', 'temporal.log'),
    headless: true,
  };
  const script = `import { startEmbeddedServer } from '${source}';
    const server = await startEmbeddedServer(${JSON.stringify(options)}); console.log(server.address); setInterval(() => {}, 1000);`;
  const command = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const address = await new Promise<string>((resolve) =>
    command.stdout.once('data', (text: Buffer) => resolve(text.toString().trim())),
  );
  expect((await runningServer(databaseFile))?.address).toBe(address);
  command.kill('SIGKILL');
  const server = await start({ databaseFile });
  expect(server.address).toBe(address);
  expect(
    await withClient(server, async (client) => (await client.workflowService.getSystemInfo({})).serverVersion),
  ).toMatch(/^1\./);
});

/** How many partitions of an activity queue the server has. */
const partitionsOf = (server: EmbeddedServer): Promise<number> =>
  withClient(server, async (client) => {
    const request = { namespace: server.namespace, taskQueue: { name: 'cada-gpu' } };
    return (await client.workflowService.listTaskQueuePartitions(request)).activityTaskQueuePartitions.length;
  });

it('has one partition a queue, and goes on reading the others of a database that an earlier version has filled', async () => {
  const server = await start();
  const databaseFile = join(folder, `db-${databases - 1}`, 'history.db');
  const file = join(databaseFile, '..', 'server.json');
  const record = () => JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  expect(await partitionsOf(server)).toBe(1);
  expect(record()['readPartitions']).toBe(1);
  await server.stop();
  await (await start({ databaseFile })).stop();
  const { readPartitions, ...earlier } = record();
  expect(readPartitions).toBe(1);
  writeFileSync(file, JSON.stringify(earlier));
  const upgraded = await start({ databaseFile });
  expect(await partitionsOf(upgraded)).toBe(1);
  expect(record()).not.toHaveProperty('readPartitions');
});

it('takes another port when the old one is taken by someone else', async () => {
  const databaseFile = join(folder, 'taken', 'history.db');
  const first = await start({ databaseFile });
  await first.stop();
  const port = Number(first.address.split(':')[1]);
  const squatter = createServer().listen(port, '127.0.0.1');
  try {
    const second = await start({ databaseFile });
    expect(second.address).not.toBe(first.address);
  } finally {
    squatter.close();
  }
});

/** The server's program with a script before it, in which $STARTS is a file with a line for each start so far. */
async function unluckyBinary(name: string, script: string): Promise<string> {
  const file = join(folder, `${name}.sh`);
  const starts = join(folder, `${name}.starts`);
  const text = `#!/bin/sh\nSTARTS=${starts}; echo >> $STARTS; starts=$(wc -l < $STARTS)\n${script}\nexec ${await temporalBinary()} "$@"\n`;
  writeFileSync(file, text, { mode: 0o755 });
  return file;
}

const startsOf = (name: string): number => readFileSync(join(folder, `${name}.starts`), 'utf8').length;
const PANIC = `{ echo 'panic: failed to assign a free port'; echo; echo 'goroutine 1 [running]:'; seq -f 'frame %g' 40; } >&2; exit 2`;

it('starts again when the server panics over a port, with another port when its own was taken meanwhile', async () => {
  const panicking = await start({
    binaryPath: await unluckyBinary('panics', `if [ $starts = 1 ]; then ${PANIC}; fi`),
  });
  expect(panicking.running).toBe(true);
  expect(startsOf('panics')).toBe(2);

  const squat = `require('node:net').createServer().listen(Number(process.argv[1]), '127.0.0.1', () => console.log('taken'))`;
  const squatter = join(folder, 'squatter.pid');
  const binaryPath = await unluckyBinary(
    'taken',
    `port=0; for argument; do [ "$previous" = --port ] && port=$argument; previous=$argument; done
if [ $starts = 1 ]; then setsid ${process.execPath} -e "${squat}" $port > ${squatter}.log & echo $! > ${squatter}; echo $port > ${squatter}.port
  until grep -q taken ${squatter}.log; do sleep 0.05; done; fi`,
  );
  try {
    const server = await start({ binaryPath });
    expect(startsOf('taken')).toBe(2);
    expect(server.address).not.toBe(`127.0.0.1:${readFileSync(`${squatter}.port`, 'utf8').trim()}`);
  } finally {
    process.kill(Number(readFileSync(squatter, 'utf8')), 'SIGKILL');
  }
});

it('gives up on a server that panics at every start, and names the panic above the end of its stack', async () => {
  const binaryPath = await unluckyBinary('hopeless', PANIC);
  await expect(start({ binaryPath })).rejects.toThrow(
    /ended at once \(code 2\)[^]*\npanic: failed to assign a free port\n\.\.\.\nframe 26\n[^]*frame 40$/,
  );
  expect(startsOf('hopeless')).toBe(3);
});

it('serves the UI on the loopback address only', async () => {
  const server = await startTestServer({ ui: true });
  started.push(server);
  expect(server.uiAddress).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  const page = await (await fetch(server.uiAddress as string)).text();
  expect(page).toContain('<html');
  // Every listening socket of the server's process.
  const listing = await promisify(execFile)('ss', ['-Hltnp']).catch(() => undefined);
  if (!listing) {
    console.warn('the check of listening addresses is left out: no `ss` here');
    return;
  }
  const sockets = listing.stdout.split('\n').filter((line) => line.includes(`pid=${server.pid},`));
  expect(sockets.length).toBeGreaterThan(1);
  for (const socket of sockets) expect(socket.split(/\s+/)[3]).toMatch(/^127\.0\.0\.1:/);
});

it('says why the server ended, with its log', async () => {
  const databaseFile = join(folder, 'broken', 'history.db');
  const first = await start({ databaseFile });
  await first.stop();
  writeFileSync(databaseFile, 'this is not a database, but long enough to be read as a header of one, then more of it');
  await expect(start({ databaseFile })).rejects.toThrow(/The Temporal server ended at once[^]*not a database/);
  expect(readFileSync(databaseFile, 'utf8')).toContain('this is not a database');
});
