import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';

/** Types of search attributes by the names that the Temporal CLI uses, with their numbers in `temporal.api.enums.v1.IndexedValueType`. */
const KINDS = { Text: 1, Keyword: 2, Int: 3, Double: 4, Bool: 5, Datetime: 6, KeywordList: 7 } as const;
export type SearchAttributeKind = keyof typeof KINDS;

/** A namespace learns of new attributes through a cache that is refreshed every few seconds. */
const VISIBLE_WITHIN_MS = 30_000;

/**
 * Registers the search attributes that a namespace lacks; needed for a server that is already there, and for an embedded
 * database made by an earlier version (`start-dev --search-attribute` is heeded only when the namespace is created).
 *
 * @throws Error when one exists with another type, or when registering is not allowed; the message has the command for the operator.
 */
export async function registerSearchAttributes(
  connection: Connection,
  namespace: string,
  wanted: Record<string, SearchAttributeKind>,
): Promise<void> {
  const existing = async (): Promise<Record<string, number>> => {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return (customAttributes ?? {}) as Record<string, number>;
  };
  const found = await existing();
  for (const [name, kind] of Object.entries(wanted)) {
    const type = found[name];
    if (type !== undefined && type !== KINDS[kind]) {
      const actual = Object.entries(KINDS).find(([, number]) => number === type)?.[0] ?? `type ${type}`;
      throw new Error(
        `Search attribute ${name} of namespace ${namespace} is a ${actual}, it must be a ${kind}: remove it or use another namespace`,
      );
    }
  }
  const missing = Object.entries(wanted).filter(([name]) => found[name] === undefined);
  if (missing.length === 0) return;
  try {
    const searchAttributes = Object.fromEntries(missing.map(([name, kind]) => [name, KINDS[kind]]));
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
  } catch (error) {
    const flags = missing.map(([name, kind]) => `--name ${name} --type ${kind}`).join(' ');
    throw new Error(
      `Namespace ${namespace} lacks search attributes and they could not be added (${(error as Error).message}). ` +
        `Let its operator run: temporal operator search-attribute create --namespace ${namespace} ${flags}`,
      { cause: error },
    );
  }
  for (const deadline = Date.now() + VISIBLE_WITHIN_MS; ; await sleep(100)) {
    const now = await existing();
    if (missing.every(([name]) => now[name] !== undefined)) return;
    if (Date.now() > deadline)
      throw new Error(
        `Namespace ${namespace} does not show its new search attributes after ${VISIBLE_WITHIN_MS / 1000} s`,
      );
  }
}
