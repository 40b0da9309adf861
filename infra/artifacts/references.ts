/** Finding references to artifacts in plain JSON: in records, plans, lists, manifests, and in the payloads of workflow histories. */
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

/** What activities and workflows were told and answered: the JSON payloads of a history, decoded. Encrypted ones can't be read. */
export function payloadsIn(history: unknown): unknown[] {
  const payloads: unknown[] = [];
  visit(history, (item) => {
    const { data, metadata } = item as { data?: unknown; metadata?: unknown };
    if (typeof data !== 'string' || typeof metadata !== 'object') return;
    try {
      payloads.push(JSON.parse(Buffer.from(data, 'base64').toString()));
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
