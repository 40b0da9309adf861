import { randomBytes } from 'node:crypto';
import { defaultPayloadConverter } from '@temporalio/common';
import { describe, expect, it, test } from 'vitest';
import { payloadsIn, referencesIn } from '../../../infra/artifacts/references.ts';
import {
  createPayloadCodec,
  decryptPayload,
  payloadKeys,
  PayloadKeyError,
} from '../../../infra/temporal/payloadCodec.ts';

const newKey = () => randomBytes(32).toString('base64');
const [first, second] = [newKey(), newKey()];
const codecOf = (CADA_PAYLOAD_KEYS?: string) => createPayloadCodec(payloadKeys({ CADA_PAYLOAD_KEYS }));
const payload = defaultPayloadConverter.toPayload({ text: 'a chain' })!;
const textOf = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes!).toString();

test('references in an archived history are found behind the encryption, and a missing key is told', async () => {
  const sha256 = 'ab'.repeat(32);
  const ref = defaultPayloadConverter.toPayload({ policy: { sha256, bytes: 5, kind: 'adapter' } })!;
  const env = { CADA_PAYLOAD_KEYS: `a:${first}` };
  const [one] = await createPayloadCodec(payloadKeys(env)).encode([ref]);
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  const metadata = Object.fromEntries(Object.entries(one!.metadata!).map(([name, value]) => [name, base64(value)]));
  const history = { events: [{ result: { payloads: [{ metadata, data: base64(one!.data!) }] } }] };
  expect(referencesIn(payloadsIn(history, env))).toEqual([{ sha256, bytes: 5, kind: 'adapter' }]);
  expect(() => payloadsIn(history, {})).toThrow('CADA_PAYLOAD_KEYS is not set');
});

describe('the payload codec', () => {
  it('gives back what it encrypted, under the name of the key, another ciphertext each time', async () => {
    const codec = codecOf(`a:${first}`);
    const [one, other] = (await codec.encode([payload, payload])) as [typeof payload, typeof payload];
    expect(textOf(one.metadata!['encoding'])).toBe('binary/encrypted');
    expect(textOf(one.metadata!['encryption-key-id'])).toBe('a');
    expect(textOf(one.data)).not.toContain('chain');
    expect(one.data).not.toEqual(other.data);
    const [back] = await codec.decode([one]);
    expect(defaultPayloadConverter.fromPayload(back!)).toEqual({ text: 'a chain' });
  });

  it('rotates: the newest key encrypts, any decrypts, a key taken away does not', async () => {
    const [old] = await codecOf(`a:${first}`).encode([payload]);
    const rotated = codecOf(`b:${second},a:${first}`);
    const [fresh] = await rotated.encode([payload]);
    expect(textOf(fresh!.metadata!['encryption-key-id'])).toBe('b');
    for (const one of [old!, fresh!]) {
      expect(defaultPayloadConverter.fromPayload((await rotated.decode([one]))[0]!)).toEqual({ text: 'a chain' });
    }
    await expect(codecOf(`b:${second}`).decode([old!])).rejects.toThrow(
      'encrypted with the key "a", which is not in CADA_PAYLOAD_KEYS (it has b). Add it behind the newest key',
    );
    await expect(codecOf().decode([old!])).rejects.toThrow('(CADA_PAYLOAD_KEYS is not set)');
  });

  it('leaves plain payloads as they are when read, so that it can be switched on in mid-run', async () => {
    expect(await codecOf(`a:${first}`).decode([payload])).toEqual([payload]);
    expect(await codecOf().encode([payload])).toEqual([payload]);
  });

  it('refuses a changed payload and another key of the same name', async () => {
    const [one] = await codecOf(`a:${first}`).encode([payload]);
    await expect(codecOf(`a:${second}`).decode([one!])).rejects.toThrow(/the key in CADA_PAYLOAD_KEYS is another one/);
    for (const at of [0, 15, one!.data!.length - 1]) {
      const data = Buffer.from(one!.data!);
      data[at]! ^= 1;
      expect(() => decryptPayload({ ...one, data }, payloadKeys({ CADA_PAYLOAD_KEYS: `a:${first}` }))).toThrow(
        PayloadKeyError,
      );
    }
    expect(() =>
      decryptPayload({ ...one, data: Buffer.alloc(3) }, payloadKeys({ CADA_PAYLOAD_KEYS: `a:${first}` })),
    ).toThrow(/or the payload was changed/);
  });

  it.each([
    ['no colon', first, 'entry 1 is not of the form id:key'],
    ['no id', `:${first}`, 'entry 1 has an id that is not'],
    ['a short key', `a:${first},b:${first.slice(4)}`, 'entry 2 ("b") has a key that is not 32 bytes in base64'],
    ['a key in hex', `a:${'ab'.repeat(32)}`, 'entry 1 ("a") has a key that is not 32 bytes'],
    ['a comma at the end', `a:${first},`, 'entry 2 is not of the form id:key'],
    ['an id twice', `a:${first},a:${second}`, 'entry 2 has the id "a" of an earlier one'],
  ])('refuses %s without quoting a key', (_, setting, message) => {
    const read = () => payloadKeys({ CADA_PAYLOAD_KEYS: setting });
    expect(read).toThrow(message);
    expect(read).toThrow('openssl rand -base64 32');
    expect(read).not.toThrow(first.slice(0, 20));
  });
});
