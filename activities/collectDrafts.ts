/** Drafts of cases from the chains that were written for labelled requests: filtered, with all that they follow from. */
import type { ChainRecord, ScoredChain } from '../alignment/chains/chain.ts';
import type { CaseDraftFile } from '../alignment/cases/drafts/caseDrafts.ts';
import type { DraftRequest } from '../alignment/cases/drafts/draftRequests.ts';
import { draftFilters, leastJudged, selectDrafts } from '../alignment/cases/drafts/selectDrafts.ts';
import { optionalRewards } from '../alignment/configuration/optionalRewards.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import { writingSettings } from '../alignment/configuration/teacher.ts';
import type { Library } from '../alignment/library/library.ts';
import { engineVersion } from '../engine/version.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../infra/artifacts/digest.ts';
import { readShards } from './collectRewards.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readConfiguration, readJson, readLibrary } from './inputs.ts';
import type { ModelManifest } from './plans.ts';
import type { ArtifactRef, Figures, PolicyState, RunContext, StageOutcome } from './types.ts';
import { stageVersions } from './versions.ts';

export interface DraftsInput {
  /** JSON list of DraftRequest. */
  requests: ArtifactRef;
  chains: ArtifactRef;
  rewards: ArtifactRef;
  policy: PolicyState;
}

export async function collectDrafts(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: DraftsInput,
): Promise<StageOutcome> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const library = await readLibrary(store, run);
  const requests = await readJson<DraftRequest[]>(store, input.requests);
  const byId = new Map(requests.map((request) => [request.id, request]));
  const chains = await readShards<ChainRecord>(dependencies, input.chains);
  const rewards = await readShards<ScoredChain>(dependencies, input.rewards);
  const candidates = chains
    .map((chain, index) => ({ chain, scored: rewards[index]!, request: byId.get(chain.requestId)! }))
    .sort((one, other) => one.chain.sampleIndex - other.chain.sampleIndex);
  const { drafts, samples, dropped } = selectDrafts(candidates, requests, configuration.chain);
  const file: CaseDraftFile = {
    format: 'cada-case-drafts',
    version: 1,
    provenance: {
      drafting: run.runId,
      model: await modelOf(store, input.policy),
      ...writerOf(configuration),
      ...settingsOf(configuration, library),
      requests: input.requests.sha256,
      chains: input.chains.sha256,
      rewards: input.rewards.sha256,
    },
    counts: { requests: requests.length, samples, drafts: drafts.length, dropped },
    drafts,
  };
  const figures: Figures = { 'drafts/samples': samples, 'drafts/kept': drafts.length };
  for (const [reason, count] of Object.entries(dropped)) figures[`drafts/dropped_${reason}`] = count;
  return { artifact: await store.putBytes(canonicalJson(file), 'case-drafts'), figures };
}

async function modelOf(store: ActivityDependencies['store'], { model, adapter }: PolicyState) {
  const { baseModelName, digest } = await readJson<ModelManifest>(store, model);
  return { name: baseModelName, digest, adapterSha256: adapter?.sha256 ?? null };
}

/** Who wrote the texts, where that was not the policy. */
function writerOf({ warmStart, teacher }: Configuration): object {
  const { source, deliberation } = warmStart;
  if (source === undefined) return {};
  const asked = source === 'teacher' || deliberation?.by === 'teacher';
  return { source, ...(asked && teacher ? { teacher: writingSettings(teacher) } : {}) };
}

function settingsOf({ seed, chain, cases, warmStart, rewards }: Configuration, library: Library): object {
  const asked = optionalRewards.filter((name) => rewards[name] !== undefined);
  return {
    seed,
    guidance: cases,
    chain,
    sampling: { temperature: warmStart.temperature, samplesPerRequest: warmStart.samplesPerRequest },
    filters: { applied: draftFilters, leastJudged, judges: ['rules', ...asked] },
    versions: {
      engine: engineVersion,
      generateChains: stageVersions.generateChains,
      rewardChains: stageVersions.rewardChains,
      cases: Math.max(0, ...library.cases.map(({ version }) => version)),
      judgeRules: sha256(canonicalJson(library.judges)),
    },
  };
}
