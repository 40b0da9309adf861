/** Settles which marks are data of a run: the chains that are marked now become an artifact, and the configuration names its digest. */
import { readConfiguration as readStored, readJson } from '../../activities/inputs.ts';
import type { ModelManifest } from '../../activities/plans.ts';
import type { RepeatedQuestion } from '../../alignment/benchmarks/decontaminate.ts';
import { evaluatedOn } from '../../alignment/cases/drafts/draftRequests.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import type { MarkedChain, MarkedChains } from '../../alignment/feedback/markedChains.ts';
import type { Library } from '../../alignment/library/library.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { badInput } from '../errors.ts';
import type { FoundRun } from '../runs.ts';
import { questionFinder } from './decontaminatedLibrary.ts';
import { readLibraryFiles } from './libraryFiles.ts';
import { findMarkedChains, type MarkedStoredChain } from './markedChains.ts';

/**
 * The configuration with `marks.chains` set wherever `marks.of` stands alone; otherwise as it is.
 * @throws CliError (bad input) for marks that can't be taken: of another model or form of chains, or none that is usable.
 */
export async function pinMarks(
  configuration: Configuration,
  storeUri: string,
  report: (line: string) => void,
): Promise<Configuration> {
  const pinned = { ...configuration };
  for (const section of ['warmStart', 'iteration'] as const) {
    const { marks } = configuration[section];
    if (!marks || marks.chains !== undefined) continue;
    const chains = await publishMarked(configuration, storeUri, marks.of, (line) =>
      report(`${section}.marks: ${line}`),
    );
    Object.assign(pinned, { [section]: { ...configuration[section], marks: { ...marks, chains } } });
  }
  return pinned;
}

/** @returns the digest of the artifact. */
async function publishMarked(
  configuration: Configuration,
  storeUri: string,
  named: string,
  report: (line: string) => void,
): Promise<string> {
  const store = await openStore(storeUri);
  const library = parseLibrary(await readLibraryFiles(configuration.library));
  const repeats = await questionFinder(configuration.library.decontaminate);
  const { chains, skipped } = await findMarkedChains(storeUri, named, new Date());
  const usable: MarkedChain[] = [];
  const libraries = new Set(chains.map(({ run }) => run.record.library.sha256));
  for (const marked of chains) {
    const why =
      unusable(marked, library, configuration.library.withhold ?? []) ??
      repeated(repeats(marked.chain.request.request));
    if (why === undefined) usable.push(taken(marked, libraries.size > 1));
    else skipped.push({ chain: marked.chain.name, why });
  }
  for (const { chain, why } of skipped) report(`${chain} is left out: ${why}`);
  if (usable.length === 0)
    throw badInput(
      `No mark of ${named} can be data of a run${skipped[0] ? ` (${skipped[0].chain}: ${skipped[0].why})` : ''}.`,
      'Mark chains of its warm start or its iterations (`cada chains --iteration`), or leave `marks` out.',
    );
  const runs = [...new Map(chains.map(({ run }) => [run.runId, run])).values()];
  for (const run of runs) await requireSameChains(run, configuration);
  const models = await Promise.all(runs.map((run) => modelOf(store, run)));
  const [model] = models;
  if (models.some((other) => other !== model))
    throw badInput(`The marks of ${named} are of runs of different models.`, 'Give the marks of one model.');
  const artifact: MarkedChains = {
    format: 'cada-marked-chains',
    model: model!,
    chains: usable.sort((a, b) => compare(a.run, b.run) || compare(a.chain, b.chain)),
  };
  const { sha256 } = await store.putBytes(canonicalJson(artifact), 'marked-chains');
  report(`${usable.length} marked chains of ${named}, ${sha256}`);
  return sha256;
}

function unusable(
  { chain, evaluated }: MarkedStoredChain,
  library: Library,
  withheld: readonly string[],
): string | undefined {
  if (evaluated) return 'it answers a request that figures are made of';
  if (!chain.sampled) return 'its token ids are not in the store';
  if (withheld.includes(chain.request.category)) return `library.withhold leaves out ${chain.request.category}`;
  return evaluatedOn(chain.request.request, library);
}

function repeated(question: RepeatedQuestion | undefined): string | undefined {
  return question && `library.decontaminate: it repeats question "${question.question}" of ${question.benchmark}`;
}

/** @param severalLibraries the request is then told apart from others of its id */
function taken({ run, as, chain }: MarkedStoredChain, severalLibraries: boolean): MarkedChain {
  const { requestId, promptTokens, tokens, text } = chain.sampled!;
  return {
    ...{ run: run.runId, chain: chain.name, as, requestId, promptTokens, tokens, text },
    ...(severalLibraries ? { request: sha256(chain.request.request) } : {}),
  };
}

/** Chains of another form, or with another beginning of the prompt, would teach something else than the run's own. */
async function requireSameChains({ store, runId, record }: FoundRun, configuration: Configuration): Promise<void> {
  const form = ({ chain: { maxNewTokens: _length, ...rest } }: Configuration): string => canonicalJson(rest);
  if (form(await readStored(store, record)) !== form(configuration))
    throw badInput(
      `The chains of run ${runId} have another form than those of this configuration (section chain).`,
      'Give both the same headings, format and thinking, or leave `marks` out.',
    );
}

async function modelOf(store: ArtifactStore, { runId, record }: FoundRun): Promise<string> {
  if (!record.policy) throw badInput(`Run ${runId} has no model yet.`, 'Wait until it has begun (`cada status`).');
  return (await readJson<ModelManifest>(store, record.policy.model)).digest;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
