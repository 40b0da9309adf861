/** Marks of a run's chains: made, imported and looked up, with the chains that they speak of. */
import { readFile } from 'node:fs/promises';
import type { RunRecord } from '../../activities/types.ts';
import { chainName, parseChainName, setName } from '../../alignment/feedback/chainName.ts';
import {
  checkMarkWords,
  markIdentity,
  parseMarkLines,
  type Mark,
  type MarkLine,
} from '../../alignment/feedback/marks.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { appendAudit } from '../../infra/artifacts/audit.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { listMarks, saveMarks } from '../../infra/artifacts/marks.ts';
import { badInput } from '../errors.ts';
import type { FoundRun } from '../runs.ts';
import { chainsOf, unfinished, type StoredChain } from './chains.ts';

/** @throws CliError (bad input) where the run has no such chain, or the words are none. */
export async function markChain(
  run: FoundRun,
  line: Omit<MarkLine, 'run' | 'at'>,
  now: Date,
): Promise<{ mark: Mark; chain: StoredChain }> {
  try {
    checkMarkWords(line);
  } catch (error) {
    throw badInput(`The mark cannot be kept: ${(error as Error).message}.`);
  }
  const chain = await new ChainFinder(run.store, run.record).find(line.chain);
  const [mark] = await saveMarks(run.store, run.runId, [markOf({ ...line, at: now.toISOString() }, chain)]);
  const { number, as, by, note } = mark!;
  const why = note === undefined ? {} : { why: note };
  const told = { who: by, what: 'mark', ...why, details: { mark: number, chain: chain.name, as } };
  await appendAudit(run.store, run.runId, told);
  return { mark: mark!, chain };
}

export interface ImportedMarks {
  kept: Mark[];
  /** Marks that the run has already, word for word: a file may be imported again. */
  known: number;
}

/** All marks of a file or, where one of them is wrong, none. */
export async function importMarks(run: FoundRun, file: string, now: Date): Promise<ImportedMarks> {
  const lines = await readMarkFile(file, now);
  const other = lines.find((line) => line.run !== run.runId);
  if (other)
    throw badInput(
      `${file} holds marks of run "${other.run}", not of ${run.runId}.`,
      'Name that run, or another file.',
    );
  const finder = new ChainFinder(run.store, run.record);
  const found: { line: Unnumbered; chain: StoredChain }[] = [];
  for (const line of lines)
    found.push({ line: { ...line, at: line.at ?? now.toISOString() }, chain: await finder.find(line.chain) });
  const before = new Set((await listMarks<Mark>(run.store, run.runId)).map(markIdentity));
  const fresh = found.filter(({ line, chain }) => !before.has(markIdentity({ ...line, chain: chain.name })));
  const kept = await saveMarks(
    run.store,
    run.runId,
    fresh.map(({ line, chain }) => markOf(line, chain)),
  );
  const [first, last] = [kept[0], kept.at(-1)];
  if (first && last) {
    // One entry for all: a page may hold hundreds.
    const who = [...new Set(kept.map(({ by }) => by))].sort().join(', ');
    const details = { marks: kept.length, from: first.number, to: last.number };
    await appendAudit(run.store, run.runId, { who, what: 'marks imported', details });
  }
  return { kept, known: found.length - fresh.length };
}

export async function readMarkFile(file: string, now: Date): Promise<MarkLine[]> {
  const content = await readFile(file, 'utf8').catch((error: Error) => {
    throw badInput(`The marks cannot be read: ${error.message}`, "The report's page offers such a file.");
  });
  try {
    return parseMarkLines(content, now);
  } catch (error) {
    throw badInput(`${file}: ${(error as Error).message}.`, 'docs/governance.md describes the file.');
  }
}

type Unnumbered = Omit<MarkLine, 'run' | 'at'> & { at: string };

function markOf({ as, by, at, note }: Unnumbered, chain: StoredChain): Omit<Mark, 'number'> {
  const said = { as, by: by.trim(), at, ...(note ? { note } : {}) };
  return { chain: chain.name, ...said, textSha256: textDigest(chain.text) };
}

export const textDigest = (text: string): string => sha256(text);

/** Finds the chains of a run by their names; reads each set once. */
export class ChainFinder {
  readonly #store: ArtifactStore;
  readonly #record: RunRecord;
  readonly #sets = new Map<string, StoredChain[]>();

  constructor(store: ArtifactStore, record: RunRecord) {
    this.#store = store;
    this.#record = record;
  }

  /** @throws CliError (bad input) that says what there is instead. */
  async find(name: string): Promise<StoredChain> {
    const parsed = parseChainName(name);
    if (!parsed)
      throw badInput(
        `"${name}" is not the name of a chain.`,
        '`cada chains` shows the names: <set>/<request id>/<sample>, such as after/request-7/0 or 3/request-7/1.',
      );
    const key = setName(parsed.set);
    const chains = this.#sets.get(key) ?? (await chainsOf(this.#store, this.#record, parsed.set));
    if (!chains) throw await unfinished(this.#store, this.#record, key);
    this.#sets.set(key, chains);
    const found = chains.find(
      ({ scored }) => scored.requestId === parsed.requestId && scored.sampleIndex === parsed.sample,
    );
    if (found) return found;
    throw badInput(
      `Run ${this.#record.runId} has no chain ${chainName(parsed)}.`,
      `\`cada chains ${this.#record.runId} --iteration ${key}\` shows those there are.`,
    );
  }
}
