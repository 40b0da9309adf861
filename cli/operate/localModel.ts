/** A model that a command asks on this machine, with an engine of its own. */
import { join } from 'node:path';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { engineSettings } from '../../activities/inputs.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import { startEngine } from '../../engine/host/engineClient.ts';
import type { PolicyEngine, PolicyWeights } from '../../engine/policy.ts';
import { engineVersion } from '../../engine/version.ts';
import { checkModel, resolveModel } from '../../infra/modelSource/resolveModel.ts';

export interface LocalModel {
  name: string;
  weights: PolicyWeights;
  /** What answers depend on beside model and prompt. */
  engineKey: { engine: string; threads: number; device: string };
  start(): PolicyEngine;
}

/** @throws ModelSourceError naming the source, what failed and what to do. */
export async function findLocalModel(
  model: { source: string; revision?: string | undefined },
  { home, cache }: { home: string; cache: string },
  report: (line: string) => void,
): Promise<LocalModel> {
  const { modelPath, name, notes } = await resolveModel({ ...model, fallback: true }, { cachePath: cache });
  for (const note of notes) report(note);
  const { digest } = await checkModel(modelPath);
  const configuration = configurationSchema.parse({ name: 'local-model' });
  const { threads, device } = configuration.engine;
  return {
    name,
    weights: { modelPath, modelDigest: digest },
    engineKey: { engine: engineVersion, threads, device },
    start: () => startEngine(engineSettings({ localPath: join(home, 'local') } as ActivityDependencies, configuration)),
  };
}
