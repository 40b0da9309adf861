/** Finding references to artifacts in plain JSON: in records, plans, lists, manifests, and in the payloads of workflow histories. */
import { decryptPayload, payloadKeys, type PayloadKey } from '../temporal/payloadCodec.ts';
import type { ArtifactRef } from './artifactStore.ts';

const DIGEST = /^[0-9a-f]{64}$/;

/** Every `{ sha256, bytes, kind }` in a value, at any depth. */
export function referencesIn(value: unknown): Omit<ArtifactRef, 'uri'>[] {
  const found: Omit<ArtifactRef, 'uri'>[] = [];
  visit(value, (item) => {
    const { sha256, bytes, kind } = item as Partial<ArtifactRef>;
    if (typeof sha256 !== 'string' || typeof bytes !== 'number' || typeof kind !== 'string') return;
    if (DIGEST.test(sha256)) found.push({ sha256, bytes, kind });
  });
  return found;
}

/** Every text in a value that has the form of a digest, once. It may be a seed, or a digest of something that is no object. */
export function digestsIn(value: unknown): string[] {
  const found = new Set<string>();
  visit(value, (item) => {
    if (typeof item === 'string' && DIGEST.test(item)) found.add(item);
  });
  return [...found];
}

/**
 * What activities and workflows were told and answered: the JSON payloads of a history, decoded, and decrypted with `CADA_PAYLOAD_KEYS`.
 * @throws PayloadKeyError where the key of an encrypted one is missing: what it refers to would not be known
 */
export function payloadsIn(history: unknown, env: NodeJS.ProcessEnv = process.env): unknown[] {
  const payloads: unknown[] = [];
  let keys: PayloadKey[] | undefined;
  visit(history, (item) => {
    const { data, metadata } = item as { data?: unknown; metadata?: unknown };
    if (typeof data !== 'string' || typeof metadata !== 'object') return;
    const named = Object.entries(metadata ?? {}).map(([name, value]) => [name, Buffer.from(String(value), 'base64')]);
    const payload = {
      metadata: Object.fromEntries(named) as Record<string, Buffer>,
      data: Buffer.from(data, 'base64'),
    };
    const plain = decryptPayload(payload, (keys ??= payloadKeys(env)));
    try {
      payloads.push(JSON.parse(Buffer.from(plain.data ?? []).toString()));
    } catch {
      // no JSON: nothing of ours
    }
  });
  return payloads;
}

/** Calls `see` with every text and object in a value. A list of its own instead of recursion: depth is the writer's choice. */
function visit(value: unknown, see: (item: string | object) => void): void {
  const waiting: unknown[] = [value];
  while (waiting.length > 0) {
    const item = waiting.pop();
    if (typeof item === 'string') see(item);
    if (typeof item !== 'object' || item === null) continue;
    see(item);
    for (const inner of Object.values(item)) waiting.push(inner);
  }
}
