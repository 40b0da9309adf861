import { defaultPayloadConverter } from '@temporalio/common';
import { expect, test } from 'vitest';
import { payloadsIn, referencesIn } from '../../../infra/artifacts/references.ts';
import { shortReferences } from '../../../infra/temporal/shortReferences.ts';

const sha256 = 'ab'.repeat(32);
const ref = (store: string) => ({ uri: `${store}/objects/${sha256}`, sha256, bytes: 5, kind: 'chains' });
const payloadOf = (value: unknown) => defaultPayloadConverter.toPayload(value)!;
const textOf = (bytes: Uint8Array | null | undefined) => Buffer.from(bytes!).toString();

async function sent(value: unknown) {
  const [payload] = await shortReferences.encode([payloadOf(value)]);
  const [back] = await shortReferences.decode([payload!]);
  expect(back).toEqual({ ...payloadOf(value), data: back!.data });
  expect(defaultPayloadConverter.fromPayload(back!)).toEqual(value);
  return payload!;
}

/** 20 references are more than 4096 bytes. */
const many = (store = 's3://bucket/teams/safety') => Array.from({ length: 20 }, () => ref(store));

test('writes each address once where a payload would be too large, and gives back what it was given', async () => {
  const value = { list: many(), other: ref('file:///elsewhere'), text: 'Grüße, "@0"', __proto: null, number: 0.1 };
  const payload = await sent(value);
  expect(payload.data!.length).toBeLessThan(4096);
  expect(JSON.parse(textOf(payload.metadata!['cada-stores']))).toEqual([
    's3://bucket/teams/safety/objects/',
    'file:///elsewhere/objects/',
  ]);
  const read = JSON.parse(textOf(payload.data)) as typeof value;
  expect(read.list[19]).toEqual({ ...ref(''), uri: '@0' });
  expect(read.other.uri).toBe('@1');
});

test('leaves alone what is small, is no JSON, has no references, or says the same in words of its own', async () => {
  const carried = [...many(), { ...ref(''), uri: '@0' }];
  for (const value of [{ list: many().slice(0, 5) }, 'x'.repeat(5000), new Uint8Array(5000), carried]) {
    expect(await sent(value)).toEqual(payloadOf(value));
  }
  const strange = [...many(), { ...ref(''), uri: 'somewhere else' }, { ...ref(''), uri: '~0' }];
  const { data } = await sent(strange);
  expect((JSON.parse(textOf(data)) as typeof strange).slice(-2).map(({ uri }) => uri)).toEqual([
    'somewhere else',
    '~0',
  ]);
});

test('references in an archived history are found as they are', async () => {
  const [payload] = await shortReferences.encode([payloadOf(many())]);
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  const metadata = Object.fromEntries(Object.entries(payload!.metadata!).map(([name, value]) => [name, base64(value)]));
  const history = { events: [{ result: { payloads: [{ metadata, data: base64(payload!.data!) }] } }] };
  const found = referencesIn(payloadsIn(history, {}));
  expect(found).toHaveLength(20);
  expect(found[0]).toEqual({ sha256, bytes: 5, kind: 'chains' });
});
