import { unescape } from 'node:querystring';

export const REDACTED = '[redacted]';

/** AWS settings that are needed to find a fault and are no secrets. */
const HARMLESS =
  /^AWS_(REGION|DEFAULT_REGION|ENDPOINT_URL\w*|PROFILE|CONFIG_FILE|SHARED_CREDENTIALS_FILE|CA_BUNDLE|MAX_ATTEMPTS|RETRY_MODE)$/;

/** Names in the manner of environment variables: AWS_*, OPENAI_API_KEY, HF_TOKEN, DB_PASSWORD. */
const SECRET_VARIABLE = /^AWS_|API_KEY|PAYLOAD_KEYS|(^|_)TOKEN(_|$)|SECRET|PASSWORD|CLIENT_KEY_DATA/;

/** Names in the manner of fields: apiKey, accessToken, secretAccessKey, authorization. `promptTokens` and `tokens` are counts, not secrets. */
const SECRET_FIELD =
  /^(x-)?api[-_]?key$|^(access|auth|bearer|id|refresh|security|session|hf|hub)?[-_]?token$|^secret|secret$|passw(or)?d|^(proxy-)?authorization$|^cookie$|^accessKeyId$/i;

/** Whether the value under this name must not be written down. */
export function isSecretName(name: string): boolean {
  return (SECRET_VARIABLE.test(name) && !HARMLESS.test(name)) || SECRET_FIELD.test(name);
}

/** A copy of a log record with the values of secret names replaced, at any depth. Instances of classes (errors, buffers) are kept as they are. */
export function redactFields(record: Record<string, unknown>): Record<string, unknown> {
  return copy(record, new Set()) as Record<string, unknown>;
}

function copy(value: unknown, ancestors: Set<unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return value;
  if (ancestors.has(value)) return '[circular]';
  const inside = new Set(ancestors).add(value);
  if (Array.isArray(value)) return value.map((element) => copy(element, inside));
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [
      name,
      isSecretName(name) && field !== undefined ? REDACTED : copy(field, inside),
    ]),
  );
}

/** What of a variable's value must not be written down: all of it, each of a list of `id:key`, or the password in an address. */
function secretsIn(name: string, value: string): string[] {
  if (isSecretName(name)) return [value, ...(/PAYLOAD_KEYS/.test(name) ? keysOf(value) : [])];
  if (!/_(PROXY|URL|URI|ENDPOINT|DOWNLOAD)(_|$)/i.test(name)) return [];
  const { password } = URL.parse(value) ?? {};
  return password ? [password, unescape(password)] : [];
}

/** Ids are no secrets: messages name them. */
const keysOf = (list: string): string[] => list.split(',').map((entry) => entry.slice(entry.indexOf(':') + 1).trim());

/**
 * Replaces the values of secret environment variables wherever they occur in a text: error messages of clients quote what they sent.
 * Values of fewer than eight characters are left: they would match by chance.
 */
export function valueRedactor(env: NodeJS.ProcessEnv): (text: string) => string {
  return redactorOf(
    Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : secretsIn(name, value))),
  );
}

/**
 * Replaces secrets wherever they occur in a text: as they are, without the white space around them, and as they are written in JSON and in an address.
 * Those of fewer than eight characters are left, as above: a local server's key may be `EMPTY`.
 */
export function redactorOf(secrets: readonly string[]): (text: string) => string {
  const values = secrets
    .flatMap((secret) => [secret, secret.trim()])
    .filter((value) => value.length >= 8)
    .flatMap((value) => [value, JSON.stringify(value).slice(1, -1), inAddress(value)])
    // A value that contains another one goes first.
    .sort((a, b) => b.length - a.length);
  return (text) => values.reduce((result, value) => result.replaceAll(value, REDACTED), text);
}

/** Percent-encoded; half a surrogate pair can't be. */
const inAddress = (value: string): string => encodeURIComponent(value.toWellFormed());
