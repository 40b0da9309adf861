/** Tells hazards by a guard model that the engine runs here. What it said is kept in the store by the digest of what it was asked. */
import { askHazards, openHazardPrompts } from '../../activities/askHazards.ts';
import {
  hazardAsking,
  likeliestCategory,
  noRequest,
  type GuardClassifierSettings,
} from '../../alignment/library/beaverTails/guardClassifier.ts';
import { EngineError } from '../../engine/policy.ts';
import type { ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../../infra/artifacts/digest.ts';
import { badInput } from '../errors.ts';
import type { OpenHazardClassifier } from './hazardClassifier.ts';
import { findLocalModel } from './localModel.ts';

/** log p of each category's code; null = the model has none to say. */
type Answer = number[] | null;

/** @throws CliError where the model can not be asked so. */
export function guardClassifier(
  settings: GuardClassifierSettings,
  { store, ...places }: { store: ArtifactStore; home: string; cache: string },
): OpenHazardClassifier {
  return async (hazards, report) => {
    const model = await findLocalModel(settings, places, report);
    const asking = hazardAsking(settings, hazards);
    const prompts = await openHazardPrompts(model.weights.modelPath, asking).catch((error: unknown) => {
      if (!(error instanceof EngineError)) throw error;
      throw badInput(error.message, 'Correct the settings of the guard model.');
    });
    const engine = model.start();
    const tally = { asked: 0, kept: 0 };
    const keyOf = (request: string): string => {
      const { modelDigest } = model.weights;
      return `judgements/${sha256(canonicalJson({ version: 1, hazardsBy: modelDigest, asking, request, ...model.engineKey }))}.json`;
    };
    const scoresOf = async (requests: readonly string[]): Promise<Answer[]> => {
      const known = await Promise.all(requests.map((one) => store.getDocument<Answer>(keyOf(one))));
      const unknown = requests.filter((_, index) => !known[index]);
      const answers = unknown.length === 0 ? [] : await askHazards(engine, model.weights, prompts, unknown);
      for (const [index, request] of unknown.entries())
        await store.putDocument(keyOf(request), answers[index]!, 'ifAbsent');
      tally.asked += unknown.length;
      tally.kept += requests.length - unknown.length;
      const asked = answers.values();
      return known.map((one) => (one ? one.value : asked.next().value!));
    };
    const names = asking.categories.map(({ name }) => name);
    let prior: Answer | undefined;
    return {
      ...{ name: `the guard model ${model.name} (${model.weights.modelDigest.slice(0, 8)})`, tally },
      async tell(requests) {
        if (asking.calibrated) [prior] = prior ? [prior] : await scoresOf([noRequest]);
        return (await scoresOf(requests)).map(
          (scores) => (scores && likeliestCategory(scores, names, prior ?? undefined)) ?? 'unreadable',
        );
      },
      close: () => engine.close(),
    };
  };
}
