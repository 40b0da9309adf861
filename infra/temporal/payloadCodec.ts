/**
 * Encrypts what workflows, activities and their clients say to each other before it reaches a Temporal server: arguments, results, heartbeats, memos,
 * summaries and, with `dataConverter`, the messages of failures. AES-256-GCM, the layout of Temporal's own samples (metadata `binary/encrypted` with
 * the key's id; 12 bytes of nonce, ciphertext, 16 bytes of tag), so that other codec servers can read it. Not encrypted: ids, names of types, queues
 * and search attributes, which the server works with.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import protobuf from 'protobufjs';
import { shortReferences } from './shortReferences.ts';

/** Payloads can't be encrypted or decrypted; the message says which setting to mend. */
export class PayloadKeyError extends Error {
  override readonly name = 'PayloadKeyError';
}

export interface PayloadKey {
  id: string;
  /** 32 bytes. */
  bytes: Buffer;
}

export const payloadKeysVariable = 'CADA_PAYLOAD_KEYS';

const encrypted = 'binary/encrypted';
const cipherName = 'AES-256-GCM';
const nonceBytes = 12;
const tagBytes = 16;

/**
 * The keys of `CADA_PAYLOAD_KEYS`, newest first: `id:key,id:key`, a key being 32 bytes in base64. None where it is not set.
 * @throws PayloadKeyError for a malformed list; it never quotes a key.
 */
export function payloadKeys(env: NodeJS.ProcessEnv): PayloadKey[] {
  const setting = env[payloadKeysVariable]?.trim();
  if (!setting) return [];
  const wrong = (position: number, what: string) =>
    new PayloadKeyError(
      `${payloadKeysVariable}: entry ${position + 1} ${what}. Write id:key, newest first, separated by commas; \`openssl rand -base64 32\` makes a key.`,
    );
  const keys = setting.split(',').map((entry, position): PayloadKey => {
    const [, id, text] = /^\s*([^:\s]*):\s*(\S*)\s*$/.exec(entry) ?? [];
    if (id === undefined || text === undefined) throw wrong(position, 'is not of the form id:key');
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(id)) throw wrong(position, 'has an id that is not letters, digits and ._-');
    if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) throw wrong(position, `("${id}") has a key that is not 32 bytes in base64`);
    return { id, bytes: Buffer.from(text, 'base64') };
  });
  const ids = keys.map(({ id }) => id);
  const twice = ids.findIndex((id, position) => ids.indexOf(id) !== position);
  if (twice >= 0) throw wrong(twice, `has the id "${ids[twice]}" of an earlier one`);
  return keys;
}

/**
 * A codec that encrypts with the first key and decrypts with any. Without keys it encrypts nothing and refuses what is encrypted. What was written
 * without encryption is read as it is, so encryption can be switched on in the middle of a run.
 */
export function createPayloadCodec(keys: readonly PayloadKey[]): PayloadCodec {
  return {
    encode: (payloads) => Promise.resolve(payloads.map((payload) => encryptPayload(payload, keys))),
    // An async function, so that a wrong key is a rejection.
    decode: async (payloads) => payloads.map((payload) => decryptPayload(payload, keys)),
  };
}

/** What clients and workers hand to the SDK: payloads that stay small, the codec, and failures whose message and stack trace are payloads too where there are keys. */
export function dataConverter(env: NodeJS.ProcessEnv): DataConverter {
  const keys = payloadKeys(env);
  // Loaded by the SDK with require(), in the worker and inside the workflows' sandbox.
  const extension = import.meta.filename.endsWith('.ts') ? '.ts' : '.js';
  const failureConverterPath = import.meta.filename.replace(/payloadCodec\.[jt]s$/, `encodedFailures${extension}`);
  return {
    payloadCodecs: [shortReferences, createPayloadCodec(keys)],
    ...(keys.length > 0 ? { failureConverterPath } : {}),
  };
}

export function encryptPayload(payload: Payload, keys: readonly PayloadKey[]): Payload {
  const [key] = keys;
  if (!key) return payload;
  const { metadata, data } = payload;
  const plain = PayloadMessage.encode({ metadata: metadata ?? {}, data: data ?? new Uint8Array(0) }).finish();
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce);
  return {
    metadata: {
      encoding: Buffer.from(encrypted),
      'encryption-cipher': Buffer.from(cipherName),
      'encryption-key-id': Buffer.from(key.id),
    },
    data: Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]),
  };
}

/** @throws PayloadKeyError where the key is missing or the bytes are not what was encrypted with it. */
export function decryptPayload(payload: Payload, keys: readonly PayloadKey[]): Payload {
  if (textOf(payload.metadata?.['encoding']) !== encrypted) return payload;
  const id = textOf(payload.metadata?.['encryption-key-id']);
  const key = keys.find((one) => one.id === id);
  if (!key) {
    const known =
      keys.length === 0 ? `${payloadKeysVariable} is not set` : `it has ${keys.map((one) => one.id).join(', ')}`;
    throw new PayloadKeyError(
      `A payload is encrypted with the key "${id.slice(0, 64)}", which is not in ${payloadKeysVariable} (${known}). Add it behind the newest key, for clients and workers alike.`,
    );
  }
  const data = Buffer.from(payload.data ?? []);
  const decipher = createDecipheriv('aes-256-gcm', key.bytes, data.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  });
  try {
    if (data.length < nonceBytes + tagBytes) throw new Error('too short');
    decipher.setAuthTag(data.subarray(-tagBytes));
    const plain = Buffer.concat([decipher.update(data.subarray(nonceBytes, -tagBytes)), decipher.final()]);
    const { metadata, data: content } = PayloadMessage.decode(plain) as unknown as Required<Payload>;
    return { metadata: { ...metadata }, data: content };
  } catch (cause) {
    throw new PayloadKeyError(
      `A payload that names the key "${id}" can not be decrypted with it: the key in ${payloadKeysVariable} is another one, or the payload was changed. Use the key that it was encrypted with.`,
      { cause },
    );
  }
}

const textOf = (bytes: Uint8Array | null | undefined): string => (bytes ? Buffer.from(bytes).toString() : '');

/** temporal.api.common.v1.Payload, whose bytes are what is encrypted. */
const PayloadMessage = protobuf.Root.fromJSON({
  nested: {
    Payload: {
      fields: { metadata: { keyType: 'string', type: 'bytes', id: 1 }, data: { type: 'bytes', id: 2 } },
    },
  },
} as protobuf.INamespace).lookupType('Payload');
