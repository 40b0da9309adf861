/** The endpoints of a worker: one for each run and settings, so that the rate limit holds over all its shards. Budgets hold over all workers of the run. */
import { askingSettings, endpointLimits, type EndpointSettings } from '../alignment/configuration/endpoint.ts';
import type { ArtifactStore } from '../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../infra/artifacts/digest.ts';
import { openChatEndpoint, type ChatEndpoint, type Spending } from '../infra/endpoints/chatEndpoint.ts';
import { storedSpending } from '../infra/endpoints/storedSpending.ts';

const endpoints = new Map<string, ChatEndpoint>();

/** @param keyVariable the environment variable with the key, where the settings name no other; a local server may need none. */
export function endpointFor(
  store: ArtifactStore,
  runId: string,
  settings: EndpointSettings,
  keyVariable: string,
): ChatEndpoint {
  const key = canonicalJson({ store: store.uri, runId, settings, keyVariable });
  let endpoint = endpoints.get(key);
  if (!endpoint) {
    const { maxCalls, maxCost } = settings;
    const limited = maxCalls !== undefined || maxCost !== undefined;
    endpoint = openKeyedEndpoint(
      settings,
      keyVariable,
      limited ? runSpending(store, runId, settings, keyVariable) : undefined,
    );
    endpoints.set(key, endpoint);
  }
  return endpoint;
}

/** What all workers of the run, of now and of before, have asked of this endpoint: with other limits it is the same one. */
function runSpending(store: ArtifactStore, runId: string, settings: EndpointSettings, keyVariable: string): Spending {
  const asked = Object.entries(settings).filter(([name]) => !Object.hasOwn(endpointLimits, name));
  const endpoint = sha256(canonicalJson({ keyVariable, settings: Object.fromEntries(asked) })).slice(0, 16);
  return storedSpending(store, runId, endpoint, askingSettings(settings).budget);
}

/** An endpoint with its own limits, and the key that the environment has for it. @param spending absent = its budget is its own. */
export function openKeyedEndpoint(settings: EndpointSettings, keyVariable: string, spending?: Spending): ChatEndpoint {
  const apiKey = process.env[settings.apiKeyVariable ?? keyVariable];
  return openChatEndpoint({ ...askingSettings(settings), ...(apiKey ? { apiKey } : {}) }, undefined, spending);
}
