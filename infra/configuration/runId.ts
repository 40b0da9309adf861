/** What identifies a run: its name and what it is to do. */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Configuration } from '../../alignment/configuration/schema.ts';

/**
 * SHA-256 (hex) of the canonical JSON (RFC 8785) of the complete configuration, defaults filled in, `name` left out:
 * order, comments and settings written out at their default change nothing.
 */
export function configurationDigest(configuration: Configuration): string {
  const { name: _name, ...settings } = configuration;
  return createHash('sha256').update(canonicalJson(settings)).digest('hex');
}

/** `<name>-<first 8 digits of the digest>`: the same configuration is the same run. */
export function runIdOf(configuration: Configuration): string {
  return `${configuration.name}-${configurationDigest(configuration).slice(0, 8)}`;
}

function canonicalJson(value: object): string {
  const json = canonicalize(value);
  if (json === undefined) throw new Error('The configuration has no JSON form.');
  return json;
}
