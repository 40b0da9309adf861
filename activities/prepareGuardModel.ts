/** Resolves, checks and publishes the guard model, and makes sure that it can be asked: before any chain is generated for it. */
import { guardAsking, type GuardModelSettings } from '../alignment/configuration/guardModel.ts';
import { readConfiguration, readJson } from './inputs.ts';
import { openGuardPrompts } from './askGuard.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { publishModel } from './prepareModel.ts';
import { asFailure } from './stage.ts';
import type { ArtifactRef, RunContext } from './types.ts';

/** @param input.settings GuardModelSettings; absent = `guardModel` of the run's configuration. */
export async function prepareGuardModel(
  dependencies: ActivityDependencies,
  run: RunContext,
  input: { settings?: ArtifactRef },
): Promise<{ model: ArtifactRef; notes?: string[] }> {
  const { store } = dependencies;
  const configuration = await readConfiguration(store, run);
  const settings = input.settings
    ? await readJson<GuardModelSettings>(store, input.settings)
    : configuration.guardModel!;
  const { modelPath, ...published } = await publishModel(dependencies, {
    ...settings,
    fallback: configuration.model.fallback,
  });
  try {
    const { promptOf } = await openGuardPrompts(modelPath, guardAsking(settings));
    promptOf({ request: 'request', finalResponse: 'response' });
  } catch (error) {
    throw asFailure(error);
  }
  return published;
}
