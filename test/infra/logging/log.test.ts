import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { escapeForTerminal } from '../../../infra/logging/escape.ts';
import { openLog } from '../../../infra/logging/log.ts';
import { isSecretName } from '../../../infra/logging/redaction.ts';

const folder = mkdtempSync(join(tmpdir(), 'cada-log-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
const newFile = (): string => join(folder, String(files++), 'logs', 'worker.log');
const records = (file: string): Record<string, unknown>[] =>
  readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('openLog', () => {
  it('writes JSON lines to the file at once, with process, level and fields', () => {
    const file = newFile();
    const log = openLog({ name: 'gpu worker', file, env: {}, level: 'info' });
    log.info({ shard: 7 }, 'shard done');
    log.debug('not written');
    expect(records(file)).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        process: 'gpu worker',
        pid: process.pid,
        shard: 7,
        msg: 'shard done',
      },
    ]);
  });

  it('keeps secrets out by name at any depth, also in child loggers, and leaves token counts', () => {
    const file = newFile();
    const log = openLog({ name: 'cli', file, env: {} }).child({ request: 'r1' });
    log.info({
      env: { AWS_SECRET_ACCESS_KEY: 'a', AWS_REGION: 'eu', JUDGE_API_KEY: 'b', HF_TOKEN: 'c' },
      headers: [{ authorization: 'Bearer d' }],
      promptTokens: 12,
    });
    expect(records(file)[0]).toMatchObject({
      request: 'r1',
      env: {
        AWS_SECRET_ACCESS_KEY: '[redacted]',
        AWS_REGION: 'eu',
        JUDGE_API_KEY: '[redacted]',
        HF_TOKEN: '[redacted]',
      },
      headers: [{ authorization: '[redacted]' }],
      promptTokens: 12,
    });
  });

  it("keeps secret values of the environment out of messages and errors' causes", () => {
    const file = newFile();
    const env = { JUDGE_API_KEY: 'key"with-quotes', AWS_REGION: 'eu-central-1', HF_TOKEN: 'short' };
    const error = new Error('call failed', { cause: new Error('refused key"with-quotes in eu-central-1') });
    openLog({ name: 'judge worker', file, env }).error({ error }, 'sent key"with-quotes');
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain('with-quotes');
    expect(records(file)[0]).toMatchObject({
      msg: 'sent [redacted]',
      error: { message: 'call failed', cause: { message: 'refused [redacted] in eu-central-1' } },
    });
  });

  it('keeps each payload key, and the password in an address, out of messages', () => {
    const file = newFile();
    const keys = ['AAAAAAAAAAAAAAAAAAAAAA==', 'BBBBBBBBBBBBBBBBBBBBBB=='];
    const env = {
      CADA_PAYLOAD_KEYS: `2026-11-30:${keys[0]}, 2026-10-30:${keys[1]}`,
      https_proxy: 'http://user:p%40ss-of-proxy@127.0.0.1:9',
      HF_ENDPOINT: 'not an address',
      HTTP_PROXY: 'http://user:100%25-%zz@127.0.0.1:9',
    };
    openLog({ name: 'cli', file, env }).info(
      { at: `tried ${keys[1]}` },
      `proxy http://user:p%40ss-of-proxy@127.0.0.1:9 (p@ss-of-proxy), key 2026-11-30 ${keys[0]}`,
    );
    const text = readFileSync(file, 'utf8');
    for (const secret of [...keys, 'ss-of-proxy']) expect(text).not.toContain(secret);
    expect(records(file)[0]!['msg']).toBe(
      'proxy http://user:[redacted]@127.0.0.1:9 ([redacted]), key 2026-11-30 [redacted]',
    );
  });

  it('writes lines for people on a terminal, escaped', () => {
    const terminal = Object.assign(new PassThrough(), { isTTY: true });
    openLog({ name: 'cli', env: {}, stderr: terminal }).warn({ chain: 'a\u001b[2Jb' }, 'strange \u0007 chain');
    const line = (terminal.read() as Buffer).toString();
    expect(stripVTControlCharacters(line)).toMatch(
      /^\d\d:\d\d:\d\d warn {2}cli: strange \\x07 chain \(chain=a\\x1b\[2Jb\)\n$/,
    );
  });

  it('refuses a level that does not exist', () => {
    expect(() => openLog({ name: 'cli', env: { CADA_LOG_LEVEL: 'loud' } })).toThrow(
      /"loud" is not a log level \(CADA_LOG_LEVEL\): use .*info/,
    );
  });
});

it.each([
  ['AWS_SESSION_TOKEN', true],
  ['OPENAI_API_KEY', true],
  ['TEMPORAL_API_KEY', true],
  ['CADA_PAYLOAD_KEYS', true],
  ['apiKey', true],
  ['sessionToken', true],
  ['secretAccessKey', true],
  ['AWS_ENDPOINT_URL_S3', false],
  ['tokens', false],
  ['maxNewTokens', false],
  ['tokensPerSecond', false],
  ['tokenizer', false],
  ['stepKey', false],
])('%s is a secret: %s', (name, expected) => expect(isSecretName(name)).toBe(expected));

it.each([
  ['plain text,\n\ttabs and ünïcode 你好 👍', 'plain text,\n\ttabs and ünïcode 你好 👍'],
  ['\u001b]0;title\u0007\u001b[31mred', '\\x1b]0;title\\x07\\x1b[31mred'],
  ['progress\roverwritten\r\nnext', 'progress\\x0doverwritten\nnext'],
  ['abc\u202efed\u2066x\u200b', 'abc\\u202efed\\u2066x\\u200b'],
  ['\u009b31m \u{e0041}', '\\x9b31m \\u{e0041}'],
])('escapes %j', (text, expected) => expect(escapeForTerminal(text)).toBe(expected));
