/** The endpoints of a worker: one for each run and settings, so that rate limit and budget hold over all its shards. */
import { askingSettings, type EndpointSettings } from '../alignment/configuration/endpoint.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { openChatEndpoint, type ChatEndpoint } from '../infra/endpoints/chatEndpoint.ts';

const endpoints = new Map<string, ChatEndpoint>();

/** @param keyVariable the environment variable with the key, where the settings name no other; a local server may need none. */
export function endpointFor(runId: string, settings: EndpointSettings, keyVariable: string): ChatEndpoint {
  const key = canonicalJson({ runId, settings, keyVariable });
  let endpoint = endpoints.get(key);
  if (!endpoint) {
    endpoint = openKeyedEndpoint(settings, keyVariable);
    endpoints.set(key, endpoint);
  }
  return endpoint;
}

/** An endpoint with its own limits, and the key that the environment has for it. */
export function openKeyedEndpoint(settings: EndpointSettings, keyVariable: string): ChatEndpoint {
  const apiKey = process.env[settings.apiKeyVariable ?? keyVariable];
  return openChatEndpoint({ ...askingSettings(settings), ...(apiKey ? { apiKey } : {}) });
}
