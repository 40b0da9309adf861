/**
 * A real S3 server for tests, found in this order: CADA_TEST_S3_ENDPOINT (with AWS credentials in the environment), the
 * versitygw binary in node_modules/.cache, that binary built once with Go. Otherwise tests skip and print why.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { freePorts } from '../../infra/temporal/freePorts.ts';
import { buildS3Server } from './buildS3Server.ts';

export interface S3Server {
  endpoint: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  /** Makes a bucket, of a fresh name unless one is given, and returns its name. */
  makeBucket(name?: string): Promise<string>;
  /** Variables with which the AWS SDK of a child process finds this server. */
  env: { AWS_ENDPOINT_URL_S3: string; AWS_REGION: string; AWS_ACCESS_KEY_ID: string; AWS_SECRET_ACCESS_KEY: string };
  /** Folder that holds the buckets, for tests that damage objects on the disk; undefined for a server that is not ours. */
  folder: string | undefined;
  /** Process id of the server, while it runs and is ours. `kill` ends it as a crash would (SIGKILL), `restart` starts it again on the same port and folder, with other keys where they are given. Ours only. */
  pid(): number | undefined;
  kill(): Promise<void>;
  restart(keys?: S3Server['credentials']): Promise<void>;
  /** Ends the server and removes its folder. */
  stop(): Promise<void>;
}

export type S3ServerChoice = { kind: 'external'; endpoint: string } | { kind: 'binary'; path: string };

/** Which server there is, building it where that is possible, or why there is none (for `describe.skipIf`). */
export async function findS3Server(): Promise<S3ServerChoice | { missing: string }> {
  const endpoint = process.env['CADA_TEST_S3_ENDPOINT'];
  if (endpoint) {
    if (process.env['AWS_ACCESS_KEY_ID'] && process.env['AWS_SECRET_ACCESS_KEY']) return { kind: 'external', endpoint };
    return { missing: 'CADA_TEST_S3_ENDPOINT is set, but not AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY' };
  }
  const found = await buildS3Server();
  return 'path' in found ? { kind: 'binary', path: found.path } : found;
}

/**
 * Starts the server that was found (ready in well under a second), or connects to the external one.
 * @param within where an own server makes its folder. @default the system's temporary folder
 */
export async function startS3Server(choice: S3ServerChoice, within = tmpdir()): Promise<S3Server> {
  return choice.kind === 'external' ? externalServer(choice.endpoint) : ownServer(choice.path, within);
}

async function ownServer(binary: string, within: string): Promise<S3Server> {
  const folder = await mkdtemp(join(within, 'cada-s3-'));
  const [port] = await freePorts(1);
  const credentials = { accessKeyId: 'cadatest', secretAccessKey: 'cadatestsecret' };
  let child: ChildProcess | undefined;

  async function start(keys = credentials): Promise<void> {
    const started = spawn(binary, ['--quiet', '--health', '/health', '--port', `127.0.0.1:${port}`, 'posix', folder], {
      env: { ROOT_ACCESS_KEY: keys.accessKeyId, ROOT_SECRET_KEY: keys.secretAccessKey },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    started.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child = started;
    for (let tries = 0; tries < 400; tries++) {
      if (started.exitCode !== null) throw new Error(`the S3 server ended at its start: ${errors.slice(-500)}`);
      const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
      await answer?.arrayBuffer();
      if (answer?.ok) return;
      await sleep(25);
    }
    throw new Error(`the S3 server did not become ready: ${errors.slice(-500)}`);
  }

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((done) => running.once('exit', done));
    running.kill('SIGKILL');
    await ended;
  }

  // A test run that ends early takes its server along.
  const onExit = () => child?.kill('SIGKILL');
  process.once('exit', onExit);
  await start();
  return {
    ...withBuckets(`http://127.0.0.1:${port}`, credentials),
    folder,
    pid: () => child?.pid,
    kill,
    restart: start,
    stop: async () => {
      process.off('exit', onExit);
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function externalServer(endpoint: string): S3Server {
  const notOurs = () => Promise.reject(new Error('an external S3 server is not ours to stop'));
  const credentials = {
    accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
  };
  const server = withBuckets(endpoint, credentials);
  return {
    ...server,
    folder: undefined,
    pid: () => undefined,
    kill: notOurs,
    restart: notOurs,
    stop: () => Promise.resolve(),
  };
}

function withBuckets(endpoint: string, credentials: S3Server['credentials']) {
  const region = process.env['AWS_REGION'] ?? 'us-east-1';
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  return {
    endpoint,
    credentials,
    env: {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    makeBucket: async (given?: string) => {
      const name = given ?? `cada-test-${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;
      await client.send(new CreateBucketCommand({ Bucket: name }));
      return name;
    },
  };
}
