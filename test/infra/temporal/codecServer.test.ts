import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCodecServer, type CodecServer } from '../../../infra/temporal/codecServer.ts';
import { createPayloadCodec } from '../../../infra/temporal/payloadCodec.ts';
import { shortReferences } from '../../../infra/temporal/shortReferences.ts';

const ui = 'http://localhost:8233';
const keys = [{ id: 'a', bytes: randomBytes(32) }];
let server: CodecServer;
beforeAll(async () => {
  server = await startCodecServer({ keys, origins: [ui] });
});
afterAll(() => server.close());

const payload = defaultPayloadConverter.toPayload('a chain')!;
const json = {
  metadata: { encoding: Buffer.from(payload.metadata!['encoding']!).toString('base64') },
  data: Buffer.from(payload.data!).toString('base64'),
};
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${server.address}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

describe('the codec server', () => {
  it('encodes and decodes, whatever stands in front of the last part of the path', async () => {
    const encoded = (await (await post('/some/namespace/encode', { payloads: [json] })).json()) as {
      payloads: (typeof json)[];
    };
    expect(Buffer.from(encoded.payloads[0]!.metadata.encoding, 'base64').toString()).toBe('binary/encrypted');
    const decoded = await post('/decode', encoded, { 'x-namespace': 'default' });
    expect(await decoded.json()).toEqual({ payloads: [json] });
    expect(decoded.headers.get('cache-control')).toBe('no-store');
  });

  it('shows whole addresses of what was shortened, encrypted or not, and leaves no trace of the shortening', async () => {
    const sha256 = 'ab'.repeat(32);
    const ref = { uri: `s3://bucket/teams/safety/objects/${sha256}`, sha256, bytes: 5, kind: 'chains' };
    const list = Array.from({ length: 20 }, () => ref);
    const inJson = ({ metadata, data }: Payload) => ({
      metadata: Object.fromEntries(
        Object.entries(metadata!).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]),
      ),
      data: Buffer.from(data!).toString('base64'),
    });
    const whole = inJson(defaultPayloadConverter.toPayload(list)!);
    const short = await shortReferences.encode([defaultPayloadConverter.toPayload(list)!]);
    const decoded = await post('/decode', {
      payloads: [...short, ...(await createPayloadCodec(keys).encode(short))].map(inJson),
    });
    expect(await decoded.json()).toEqual({ payloads: [whole, whole] });
    // What the CLI sends through it is as small as what a worker sends.
    const encoded = (await (await post('/encode', { payloads: [whole] })).json()) as { payloads: (typeof json)[] };
    expect(encoded.payloads[0]!.data.length).toBeLessThan(whole.data.length * 0.7);
  });

  it('without keys shows whole addresses, and says which key it lacks', async () => {
    const without = await startCodecServer({ keys: [], origins: [ui] });
    try {
      const ask = (payloads: object[]) =>
        fetch(`${without.address}/decode`, { method: 'POST', body: JSON.stringify({ payloads }) });
      expect(await (await ask([json])).json()).toEqual({ payloads: [json] });
      const { payloads } = (await (await post('/encode', { payloads: [json] })).json()) as { payloads: object[] };
      const refused = await ask(payloads);
      expect(refused.status).toBe(400);
      expect(await refused.text()).toContain('encrypted with the key "a"');
    } finally {
      await without.close();
    }
  });

  it("answers the UI's preflight and requests, and no other page", async () => {
    const preflight = await fetch(`${server.address}/decode`, {
      method: 'OPTIONS',
      headers: { origin: ui, 'access-control-request-headers': 'content-type,x-namespace' },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe(ui);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('x-namespace');
    expect((await post('/decode', { payloads: [] }, { origin: ui })).headers.get('access-control-allow-origin')).toBe(
      ui,
    );
    for (const origin of ['http://evil.example', 'http://localhost:8234', 'null']) {
      const refused = await post('/decode', { payloads: [json] }, { origin });
      expect(refused.status).toBe(403);
      expect(refused.headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  it('answers under loopback names only, so that a name that is bound to 127.0.0.1 later gets nothing', async () => {
    const status = await new Promise<number | undefined>((done, fail) => {
      const { port } = new URL(server.address);
      const request = httpRequest(
        { host: '127.0.0.1', port, path: '/decode', method: 'POST', headers: { host: `evil.example:${port}` } },
        (response) => {
          response.resume();
          done(response.statusCode);
        },
      );
      request.on('error', fail);
      request.end('{"payloads":[]}');
    });
    expect(status).toBe(403);
    expect(new URL(server.address).hostname).toBe('127.0.0.1');
  });

  it.each([
    ['another path', '/status', '{}', 404],
    ['a body that is not JSON', '/decode', '{', 400],
    ['payloads that are not base64', '/decode', { payloads: [{ data: '***' }] }, 400],
    [
      'a payload of a key that it has not',
      '/decode',
      { payloads: [{ metadata: { encoding: btoa('binary/encrypted') }, data: '' }] },
      400,
    ],
    ['a body of 17 MiB', '/decode', 'x'.repeat(17 * 2 ** 20), 413],
  ])('refuses %s', async (_, path, body, status) => {
    const response = await post(path, body).catch((error: Error) => error);
    // A body that is too long may be cut before the answer is read.
    if (response instanceof Error) expect(status).toBe(413);
    else expect(response.status).toBe(status);
  });
});
