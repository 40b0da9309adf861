/** The chains that marks speak of: of a run, or of a file of marks. */
import type { MarkVerdict } from '../../alignment/feedback/marks.ts';
import { currentMarks, type Mark } from '../../alignment/feedback/marks.ts';
import { isEvaluated, parseChainName } from '../../alignment/feedback/chainName.ts';
import { listMarks } from '../../infra/artifacts/marks.ts';
import { badInput } from '../errors.ts';
import { findRun, type FoundRun } from '../runs.ts';
import type { StoredChain } from './chains.ts';
import { ChainFinder, readMarkFile, textDigest } from './marks.ts';

export interface MarkedStoredChain {
  run: FoundRun;
  as: Exclude<MarkVerdict, 'none'>;
  chain: StoredChain;
  by: string;
  /** Of a request that figures are made of. */
  evaluated: boolean;
}

export interface FoundMarks {
  chains: MarkedStoredChain[];
  /** Marks that speak of nothing any more, and why. */
  skipped: { chain: string; why: string }[];
}

/**
 * The marks that count now, with their chains.
 * @param named a run, or the path of a .jsonl file of marks
 * @throws CliError (bad input) where there is no such run or file, or no mark.
 */
export async function findMarkedChains(storeUri: string, named: string, now: Date): Promise<FoundMarks> {
  const found: FoundMarks = { chains: [], skipped: [] };
  for (const { run, marks } of await marksOf(storeUri, named, now)) {
    const finder = new ChainFinder(run.store, run.record);
    for (const mark of marks) {
      const chain = await finder.find(mark.chain).catch((error: Error) => error);
      if (chain instanceof Error) found.skipped.push({ chain: mark.chain, why: chain.message });
      else if (mark.textSha256 !== undefined && mark.textSha256 !== textDigest(chain.text))
        found.skipped.push({ chain: mark.chain, why: 'the run has another chain of this name since it was marked' });
      else {
        const evaluated = isEvaluated(parseChainName(chain.name)!.set);
        found.chains.push({ run, as: mark.as as MarkedStoredChain['as'], chain, by: mark.by, evaluated });
      }
    }
  }
  if (found.chains.length + found.skipped.length === 0)
    throw badInput(`No chain of ${named} is marked.`, '`cada mark` marks one, `cada marks import` many.');
  return found;
}

interface RunMarks {
  run: FoundRun;
  marks: (Pick<Mark, 'chain' | 'as' | 'by'> & { textSha256?: string })[];
}

async function marksOf(storeUri: string, named: string, now: Date): Promise<RunMarks[]> {
  if (!named.endsWith('.jsonl')) {
    const run = await findRun(storeUri, named);
    return [{ run, marks: currentMarks(await listMarks<Mark>(run.store, run.runId)) }];
  }
  const lines = await readMarkFile(named, now);
  const runs: RunMarks[] = [];
  for (const [runId, ofRun] of Map.groupBy(lines, ({ run }) => run)) {
    const numbered = ofRun.map(({ note: _note, ...line }, index): Mark => ({
      ...line,
      ...{ number: index, at: line.at ?? now.toISOString(), textSha256: '' },
    }));
    const marks = currentMarks(numbered).map(({ chain, as, by }) => ({ chain, as, by }));
    runs.push({ run: await findRun(storeUri, runId), marks });
  }
  return runs;
}
