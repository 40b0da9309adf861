import type { ModelDescription, PolicyWeights } from '../policy.ts';
import { expectedTensors, openModel } from './weights.ts';

/** What a model is, read from its configuration. Throws EngineError('invalidInput') if the model is malformed. */
export async function describeModel(model: Pick<PolicyWeights, 'modelPath'>): Promise<ModelDescription> {
  const { config, close } = await openModel(model.modelPath);
  await close();
  const sizes = [...expectedTensors(config).values()].map((shape) =>
    shape.reduce((product, dimension) => product * dimension, 1),
  );
  return {
    architecture: config.architecture,
    parameters: sizes.reduce((sum, size) => sum + size, 0),
    layers: config.layers,
    hiddenSize: config.hiddenSize,
    vocabularySize: config.vocabularySize,
    contextLength: config.contextLength,
  };
}
