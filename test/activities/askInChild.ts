/** A worker of its own process: asks an endpoint of a run so many questions, as stages do, and tells how many were answered, kept and refused. */
import { endpointFor } from '../../activities/endpointPool.ts';
import type { EndpointSettings } from '../../alignment/configuration/endpoint.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { askKept, newTally, questionDigest, storedReplies } from '../../infra/endpoints/keptReplies.ts';

const [uri, settingsText, name, questions] = process.argv.slice(2) as [string, string, string, string];
const settings = JSON.parse(settingsText) as EndpointSettings;
const store = await openStore(uri);
const asking = {
  endpoint: endpointFor(store, 'run', settings, 'CADA_TEST_API_KEY'),
  cache: storedReplies(store),
};
const tally = newTally();
const outcomes = await Promise.allSettled(
  Array.from({ length: Number(questions) }, (_, index) => {
    const question = {
      messages: [{ role: 'user' as const, content: `${name} ${index}` }],
      temperature: 0,
      maxTokens: 10,
    };
    return askKept(asking, question, questionDigest(settings.model, question, 0, 0), tally);
  }),
);
const refused = outcomes.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Error).message] : []));
console.log(JSON.stringify({ asked: tally.asked, kept: tally.kept, refused }));
