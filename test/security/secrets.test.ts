/**
 * Secrets do not get out: a real run (Temporal server, S3 server where there is one, three workers) with a secret in every variable that can hold one;
 * afterwards everything that was written or shown is searched for them.
 */
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { judgeSchema } from '../../alignment/configuration/judge.ts';
import { openChatEndpoint } from '../../infra/endpoints/chatEndpoint.ts';
import { cada } from '../cli/runCommand.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';
import { findS3Server, startS3Server, type S3Server } from '../servers/s3Server.ts';
import { startChatServer, type ChatRequestSeen, type Scripted } from '../servers/chatServer.ts';
import { startTestServer, type TestServer } from '../servers/temporalServer.ts';
import { createInstallation, tinyConfiguration } from '../workflows/cluster.ts';
import { startCommand, startWorkers, type RunningCommand } from '../workflows/commands.ts';
import { startTeacher, taughtChain } from '../workflows/teacher.ts';

/** Variable -> the secret in it. */
const planted: Record<string, string> = {
  TEMPORAL_API_KEY: 'canary-temporal-key-51bd02',
  TEMPORAL_TLS_CLIENT_CERT_DATA: 'canary-tls-certificate-90ce44',
  TEMPORAL_TLS_CLIENT_KEY_DATA: 'canary-tls-key-c0ffee17',
  CADA_JUDGE_API_KEY: 'canary-judge-key-ab12cd34',
  CADA_TEACHER_API_KEY: 'canary-teacher-key-ef56ab78',
  CADA_ATTACKER_API_KEY: 'canary-attacker-key-13fe57dc',
  CADA_CLASSIFIER_API_KEY: 'canary-classifier-key-77bd20',
  OPENAI_API_KEY: 'canary-openai-key-99aa77',
  HF_TOKEN: 'canary-hub-token-42ee11',
};
const proxySecret = 'canary-proxy-password-6d6d';
const codecSecret = Buffer.from('canary-payload-key-of-32-bytes!!').toString('base64');

let folder: string;
let temporal: TestServer;
let s3: S3Server | undefined;
const workers: RunningCommand[] = [];
const commandLines = new Set<string>();
const shown: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cada-secrets-'));
  temporal = await startTestServer({ database: true });
  const choice = await findS3Server();
  if ('missing' in choice) console.log(`The store of this test is a folder, not S3: ${choice.missing}`);
  else s3 = await startS3Server(choice);
}, 60_000);
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.stop()));
  await temporal?.stop();
  await s3?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Command lines of every process of this machine that this user can see. */
function noteCommandLines(): void {
  if (!existsSync('/proc/self/cmdline')) return;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      commandLines.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
    } catch {
      // It has ended.
    }
  }
}

/** Files below a folder that hold one of the texts: `file: text`. */
async function found(root: string, texts: readonly string[]): Promise<{ searched: number; hits: string[] }> {
  const hits: string[] = [];
  let searched = 0;
  for (const name of await readdir(root, { recursive: true })) {
    const path = join(root, name);
    if (!(await stat(path)).isFile()) continue;
    searched++;
    const bytes = await readFile(path);
    for (const text of texts) if (bytes.includes(text)) hits.push(`${path}: ${text}`);
  }
  return { searched, hits };
}

test('nothing that a run writes or shows holds a secret', { timeout: 400_000 }, async () => {
  const modelPath = join(folder, 'model');
  await writeTinyChainModel(modelPath);
  await mkdir(join(folder, 'written'));
  const settings = { iteration: { count: 1, requests: { harmful: 2, plain: 1, lookAlike: 1 }, samplesPerRequest: 4 } };
  const configurationFile = join(folder, 'run.yaml');
  await writeFile(configurationFile, JSON.stringify(tinyConfiguration(modelPath, settings)));

  const env: NodeJS.ProcessEnv = {
    ...planted,
    HTTPS_PROXY: `http://user:${proxySecret}@127.0.0.1:9`,
    NO_PROXY: '127.0.0.1,localhost',
    TEMPORAL_ADDRESS: temporal.address,
    // The server of this test speaks plain text; the key is sent all the same.
    TEMPORAL_TLS: 'false',
    CADA_LOG_LEVEL: 'trace',
    CADA_STORE: s3 ? `s3://${await s3.makeBucket()}/cada` : join(folder, 'written', 'store'),
    // A session token is checked by the S3 server, which knows none.
    ...(s3?.env ?? {
      AWS_ACCESS_KEY_ID: 'canary-access-key-id',
      AWS_SECRET_ACCESS_KEY: 'canary-secret-access-key',
      AWS_SESSION_TOKEN: 'canary-aws-session-7f3a91',
    }),
    CADA_HOME: join(folder, 'written', 'home'),
    CADA_CACHE: join(folder, 'written', 'cache'),
  };
  const secrets = [...Object.values(planted), proxySecret, env['AWS_SECRET_ACCESS_KEY']!, 'canary-aws-session-7f3a91'];
  workers.push(...(await startWorkers(['control', 'gpu', 'judge'], env, join(folder, 'written', 'logs'))));
  const noting = setInterval(noteCommandLines, 500);
  const training = startCommand(['train', configurationFile, '--verbose'], env);
  expect(await training.ended, training.output()).toBe(0);
  clearInterval(noting);
  noteCommandLines();
  shown.push(training.output());

  for (const args of [
    ...[['status'], ['status', '--json'], ['runs', '--json'], ['report'], ['report', '--json'], ['doctor'], ['verify']],
    ...[['chains', '--iteration', '1', '--json'], ['train', configurationFile, '--plan'], ['watch'], ['pause']],
  ]) {
    const { stdout, stderr } = await cada(args, { env });
    shown.push(stdout, stderr);
  }
  // A stage that fails for good: its message goes into history, card and record.
  const failing = tinyConfiguration(modelPath, {
    ...settings,
    iteration: { ...settings.iteration, learningRate: 1e30 },
  });
  await writeFile(configurationFile, JSON.stringify({ ...failing, name: 'failing' }));
  const waiting = startCommand(['train', configurationFile], env);
  await waiting.ended;
  shown.push(waiting.output());
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));

  expect(shown.join('').length).toBeGreaterThan(5000);
  for (const secret of secrets) expect(shown.filter((text) => text.includes(secret))).toEqual([]);
  for (const secret of secrets) expect([...commandLines].filter((line) => line.includes(secret))).toEqual([]);
  // The server's folder has its database (histories, memos, heartbeats) and its log.
  const places = [join(folder, 'written'), temporal.folder, ...(s3?.folder ? [s3.folder] : [])];
  for (const place of places) {
    const { searched, hits } = await found(place, secrets);
    expect(hits).toEqual([]);
    expect(searched).toBeGreaterThan(1);
  }
});

/** What an endpoint that misbehaves answers with its caller's key in it, in every way there is to say it. */
function indiscreet(key: string) {
  const headers = {
    'content-type': 'application/json',
    'x-api-key': key,
    'set-cookie': `key=${key}`,
    'retry-after': key,
  };
  return {
    refusal: { status: 401, headers, body: JSON.stringify({ error: `Incorrect API key provided: Bearer ${key}` }) },
    escaped: { status: 400, headers, body: `{"error":"${key.replaceAll('-', '\\u002d').replaceAll('/', '\\/')}"}` },
    address: { status: 400, headers, body: `no route for https://gateway/v1?api_key=${encodeURIComponent(key)}` },
    failure: { status: 500, headers, body: `upstream said: {"authorization":"Bearer ${key}"}` },
    noJson: { status: 200, headers, body: key },
    redirect: { status: 307, headers: { location: `http://127.0.0.1:9/v1?api_key=${encodeURIComponent(key)}` } },
    reply: (content: string) => ({
      ...{ status: 200, headers },
      body: JSON.stringify({
        choices: [{ message: { role: 'assistant', content, reasoning: key }, finish_reason: 'stop' }],
        usage: { prompt_tokens: key, completion_tokens: 10 },
      }).replaceAll('canary-', 'canary\\u002d'),
    }),
  };
}

test('a judge and a teacher that say their key again, in errors, headers and replies, do not bring it into anything', async () => {
  const keys = { judge: 'canary-judge-key/ab+12=cd34', teacher: 'canary-teacher-key/ef+56=ab78' };
  const variables = { CADA_JUDGE_API_KEY: keys.judge, CADA_TEACHER_API_KEY: keys.teacher };
  Object.assign(process.env, variables);
  onTestFinished(() => Object.keys(variables).forEach((name) => delete process.env[name]));
  /** Anything but its key is refused: what the tests below see was asked with it. */
  const keyed =
    (key: string, script: (index: number, seen: ChatRequestSeen) => Scripted) =>
    (index: number, seen: ChatRequestSeen): Scripted =>
      seen.authorization === `Bearer ${key}` ? script(index, seen) : { status: 403, body: 'another key' };

  let refuses = true;
  let graded = 0;
  const answers = indiscreet(keys.judge);
  const judge = await startChatServer(
    keyed(keys.judge, () => {
      if (refuses) return answers.refusal;
      const { escaped, address, failure, noJson, redirect, reply } = answers;
      return (
        [failure, noJson, redirect, reply(`My key is ${keys.judge}.`), escaped, address][graded++] ??
        reply(`With ${keys.judge}:\n#1. ${graded % 2}\n#2. ${1 + (graded % 5)}\n#3. 3`)
      );
    }),
  );
  onTestFinished(() => judge.close());
  const taught = indiscreet(keys.teacher);
  const teacher = await startTeacher(
    keyed(keys.teacher, (index, seen) => {
      const { refusal, failure, address, reply } = taught;
      return [refusal, failure, address][index] ?? reply(taughtChain(seen, `My key is ${keys.teacher}, they say.`));
    }),
  );
  onTestFinished(() => teacher.close());

  const installation = await createInstallation();
  onTestFinished(() => installation.remove());
  const configuration = tinyConfiguration(installation.configuration.model.source, {
    // A teacher's chain fits into it.
    chain: { maxNewTokens: 200 },
    rewards: { graded: 1 },
    judge: { url: judge.url, model: 'judge' },
    teacher: { url: teacher.url, model: 'large', maxUnanswered: 0.5 },
    warmStart: {
      ...{ ...installation.configuration.warmStart, source: 'teacher', samplesPerRequest: 1 },
      requests: { harmful: 6, plain: 4, lookAlike: 2 },
    },
    iteration: { count: 0, maxUnscorable: 0.75 },
    evaluation: { requests: { harmful: 4, plain: 1, lookAlike: 0 }, afterWarmStart: false, bootstrapSamples: 50 },
  });
  const waiting = await installation.train('refused', { configuration });
  expect(waiting.outcome.state).toBe('waiting');
  expect(waiting.record.cause).toContain('Incorrect API key provided: Bearer [redacted]');
  refuses = false;
  const { record, lines } = await installation.train('answered', { configuration });
  expect([record.state, record.cause]).toEqual(['done', undefined]);
  expect(graded).toBeGreaterThan(12);
  expect(teacher.seen.length).toBeGreaterThanOrEqual(12);
  for (const { authorization } of judge.seen) expect(authorization).toBe(`Bearer ${keys.judge}`);
  const { stdout, stderr } = await cada(['status', 'refused'], { env: { CADA_HOME: installation.home } });

  const secrets = Object.values(keys).flatMap((key) => [
    ...[key, encodeURIComponent(key), key.replaceAll('/', '\\/'), key.replaceAll('-', '\\u002d')],
    Buffer.from(key).toString('base64').slice(0, -4),
  ]);
  const said = [stdout, stderr, ...waiting.lines, ...lines].join('\n');
  for (const secret of secrets) expect(said).not.toContain(secret);
  // Store (kept replies, chains, records, histories, report), logs, and the servers' databases.
  const { searched, hits } = await found(installation.folder, secrets);
  expect(hits).toEqual([]);
  expect(searched).toBeGreaterThan(50);
  // The search finds what is there: the replies were kept, without the key.
  expect((await found(installation.folder, ['With [redacted]:', 'My key is [redacted], they say.'])).hits).not.toEqual(
    [],
  );
}, 400_000);

describe('in particular', () => {
  test.each([
    ['a malformed list of payload keys', { CADA_PAYLOAD_KEYS: `a:${codecSecret.slice(0, -4)}` }],
    ['an API key without an address', { TEMPORAL_API_KEY: planted['TEMPORAL_API_KEY'] }],
  ])('%s is not quoted', async (_, env) => {
    const { code, stderr, stdout } = await cada(['watch', '--verbose'], {
      env: { ...env, ...('CADA_PAYLOAD_KEYS' in env ? { TEMPORAL_ADDRESS: temporal.address } : {}) },
    });
    expect(code).not.toBe(0);
    for (const secret of [codecSecret.slice(0, 20), planted['TEMPORAL_API_KEY']!]) {
      expect(stderr + stdout).not.toContain(secret);
    }
  });

  test('an endpoint that quotes the key it refuses does not bring it into an error', async () => {
    const server = createServer((request, response) => {
      response.statusCode = 401;
      response.end(`Incorrect API key provided: ${request.headers.authorization}`);
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    try {
      const apiKey = planted['CADA_JUDGE_API_KEY']!;
      const endpoint = openChatEndpoint({
        ...{ url: `http://127.0.0.1:${port}/v1`, model: 'judge', apiKey },
        ...{ concurrency: 1, timeoutMs: 5000, attempts: 1 },
      });
      const asked = endpoint.ask({ messages: [{ role: 'user', content: 'x' }], temperature: 0, maxTokens: 1 });
      await expect(asked).rejects.toThrow('Incorrect API key provided: Bearer [redacted]');
    } finally {
      server.close();
    }
  });

  test('an address of a judge may not hold a password: it would be written down', () => {
    const { error } = judgeSchema.safeParse({ url: 'https://user:canary@host/v1', model: 'm' });
    expect(error!.issues[0]!.message).toContain('the key comes from CADA_JUDGE_API_KEY');
  });
});
