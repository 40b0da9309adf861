/** Tells hazards by a model behind an OpenAI-compatible endpoint. */
import { storedReplies } from '../../activities/endpointJudge.ts';
import { openKeyedEndpoint } from '../../activities/endpointPool.ts';
import type { EndpointSettings } from '../../alignment/configuration/endpoint.ts';
import { classifierQuestion, readCategory } from '../../alignment/library/beaverTails/classifierQuestion.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { EndpointError } from '../../infra/endpoints/chatEndpoint.ts';
import { askKept, newTally, questionDigest } from '../../infra/endpoints/keptReplies.ts';
import { badInput } from '../errors.ts';
import type { OpenHazardClassifier } from './hazardClassifier.ts';

export const classifierKeyVariable = 'CADA_CLASSIFIER_API_KEY';

const longestReply = 64;

/** @param store where its replies are kept */
export function endpointClassifier(settings: EndpointSettings, store: ArtifactStore): OpenHazardClassifier {
  return (hazards) => {
    const endpoint = openKeyedEndpoint(settings, classifierKeyVariable);
    const cache = storedReplies(store, 'replies');
    const tally = newTally();
    const tellOne = async (prompt: string): Promise<string> => {
      const question = { ...classifierQuestion(prompt, hazards), temperature: 0, maxTokens: longestReply };
      // One that can not be read is asked for once more.
      for (const attempt of [0, 1]) {
        const digest = questionDigest(settings.model, question, 0, attempt);
        const { text } = await askKept({ endpoint, cache }, question, digest, tally);
        const category = readCategory(text, hazards);
        if (category !== undefined) return category;
      }
      return 'unreadable';
    };
    return Promise.resolve({
      name: `the model ${settings.model}`,
      tally,
      tell: (prompts) =>
        Promise.all(prompts.map(tellOne)).catch((error: unknown) => {
          if (!(error instanceof EndpointError)) throw error;
          throw badInput(
            `The classifier can not go on: ${error.message}.`,
            'What it has told is kept: the same command goes on from there.',
          );
        }),
      close: () => Promise.resolve(),
    });
  };
}
