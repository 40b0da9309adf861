import { InvalidKeyError } from './errors.ts';

/** Top-level names the store keeps for itself. */
const RESERVED = new Set(['objects', 'tmp']);
const SEGMENT = /^[A-Za-z0-9_][A-Za-z0-9._=+@-]{0,199}$/;
const MAX_KEY = 900;

/**
 * A document key: segments of letters, digits and `._=+@-` joined by `/`, none of them empty or starting with a dot, the
 * last ending in `.json` and only the last (a folder store and some S3 servers can't hold both `a` and `a/b`).
 *
 * @throws InvalidKeyError for anything else, so that no key can leave the store's prefix
 */
export function checkKey(key: string): string {
  const segments = key.split('/');
  const bad = segments.find((segment) => !SEGMENT.test(segment));
  if (bad !== undefined) refuse(key, `"${bad}" is not an allowed part`);
  if (key.length > MAX_KEY) refuse(key, `it is longer than ${MAX_KEY} characters`);
  if (RESERVED.has(segments[0] ?? '')) refuse(key, `"${segments[0]}/" belongs to the store itself`);
  if (!key.endsWith('.json')) refuse(key, 'it must end in .json');
  if (segments.slice(0, -1).some((segment) => segment.endsWith('.json'))) refuse(key, 'a folder must not end in .json');
  return key;
}

/** A prefix to list by: whole segments, then perhaps the beginning of one. Not empty. */
export function checkPrefix(prefix: string): string {
  const segments = prefix.split('/');
  const beginning = segments.pop() ?? '';
  const bad = segments.find((segment) => !SEGMENT.test(segment));
  if (bad !== undefined) refuse(prefix, `"${bad}" is not an allowed part`);
  if (prefix === '' || (beginning !== '' && !SEGMENT.test(beginning))) refuse(prefix, 'it is not an allowed prefix');
  if (RESERVED.has(segments[0] ?? beginning)) refuse(prefix, 'it belongs to the store itself');
  return prefix;
}

/** One part of a key, such as a run id. */
export function checkSegment(segment: string, what: string): string {
  if (!SEGMENT.test(segment) || segment.endsWith('.json')) {
    throw new InvalidKeyError(
      `${what} "${segment}" is not allowed: use letters, digits and ._=+@- (at most 200, not starting with a dot).`,
    );
  }
  return segment;
}

export function checkDigest(digest: string): string {
  if (!/^[0-9a-f]{64}$/.test(digest))
    throw new InvalidKeyError(`"${digest}" is not a SHA-256 digest in lower-case hex.`);
  return digest;
}

function refuse(key: string, reason: string): never {
  throw new InvalidKeyError(
    `store key "${key}" is not allowed: ${reason}. Keys are parts of letters, digits and ._=+@- joined by "/", ending in .json.`,
  );
}
