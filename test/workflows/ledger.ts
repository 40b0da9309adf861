/** What the workers of a run computed and what they found in the store, read from their logs. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface LedgerEntry {
  /** `computes`: a computation began; `has`: the stage ended. */
  msg: 'computes' | 'has';
  stage: string;
  key: string;
  attempt: number;
  cached?: boolean;
  pid: number;
  time: string;
}

export async function readLedger(logFolder: string): Promise<LedgerEntry[]> {
  const entries: LedgerEntry[] = [];
  for (const name of await readdir(logFolder).catch(() => [])) {
    if (!name.endsWith('.log')) continue;
    for (const line of (await readFile(join(logFolder, name), 'utf8')).split('\n')) {
      if (!line.includes('"key"')) continue;
      const entry = parse(line);
      if (entry && (entry.msg === 'computes' || entry.msg === 'has')) entries.push(entry);
    }
  }
  return entries.sort((a, b) => (a.time < b.time ? -1 : 1));
}

/** Stages of the computations beyond the first of a step, in order. */
export function computedAgain(ledger: readonly LedgerEntry[]): string[] {
  const seen = new Set<string>();
  return ledger.flatMap(({ msg, stage, key }) => {
    if (msg !== 'computes') return [];
    if (seen.has(key)) return [stage];
    seen.add(key);
    return [];
  });
}

/** A killed process may leave half a line. */
function parse(line: string): LedgerEntry | undefined {
  try {
    return JSON.parse(line) as LedgerEntry;
  } catch {
    return undefined;
  }
}
