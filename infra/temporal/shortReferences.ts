/**
 * Keeps payloads small wherever the store is: in one of more than 4096 bytes each address of a store is written once, in its metadata, and references
 * say `@<index>` of it. Everything else stays readable, in the server's UI too. Others stay as they are, and those of older builds are read as they are.
 */
import type { Payload, PayloadCodec } from '@temporalio/common';

export const mostBytes = 4096;
/** In the metadata: addresses of stores, up to the digest of the object, as a JSON list. */
const storesKey = 'cada-stores';

export const shortReferences: PayloadCodec = {
  encode: (payloads) => Promise.resolve(payloads.map(shorten)),
  decode: (payloads) => Promise.resolve(payloads.map(lengthen)),
};

interface Reference {
  uri: string;
  sha256: string;
}

function shorten(payload: Payload): Payload {
  const { data, metadata } = payload;
  if (!data || data.length <= mostBytes || textOf(metadata?.['encoding']) !== 'json/plain') return payload;
  const stores: string[] = [];
  let taken = false;
  const text = JSON.stringify(JSON.parse(textOf(data)), (_, item: unknown) => {
    if (!isReference(item)) return item;
    const { uri, sha256 } = item;
    // Not ours, and not to be mistaken for it.
    if (indexIn(uri) !== undefined) taken = true;
    if (!uri.endsWith(`/${sha256}`)) return item;
    const store = uri.slice(0, -sha256.length);
    if (!stores.includes(store)) stores.push(store);
    return { ...item, uri: `@${stores.indexOf(store)}` };
  });
  if (stores.length === 0 || taken) return payload;
  return {
    ...payload,
    metadata: { ...metadata, [storesKey]: Buffer.from(JSON.stringify(stores)) },
    data: Buffer.from(text),
  };
}

function lengthen(payload: Payload): Payload {
  const { [storesKey]: listed, ...metadata } = payload.metadata ?? {};
  if (!listed) return payload;
  const stores = JSON.parse(textOf(listed)) as string[];
  const text = JSON.stringify(JSON.parse(textOf(payload.data)), (_, item: unknown) => {
    if (!isReference(item)) return item;
    const store = stores[indexIn(item.uri) ?? -1];
    return store === undefined ? item : { ...item, uri: `${store}${item.sha256}` };
  });
  return { ...payload, metadata, data: Buffer.from(text) };
}

function isReference(item: unknown): item is Reference {
  const { uri, sha256 } = (item ?? {}) as Partial<Reference>;
  return typeof uri === 'string' && typeof sha256 === 'string';
}

/** Undefined for whole addresses. */
function indexIn(uri: string): number | undefined {
  const digits = /^@(\d{1,6})$/.exec(uri)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

const textOf = (bytes: Uint8Array | null | undefined): string => (bytes ? Buffer.from(bytes).toString('utf8') : '');
