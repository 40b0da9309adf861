import { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/builder.ts';
import { gradients } from '../graph/gradients.ts';
import * as op from '../graph/operators.ts';
import { embed, outputHead } from '../model/decoder.ts';
import { trainedNames } from '../model/trainedWeights.ts';
import type { TrainedWeights } from '../model/trainedWeights.ts';
import type { WeightFile } from '../model/weightFile.ts';
import { klEstimate } from './objectives/klEstimate.ts';
import type { ObjectiveGraph } from './objectives/tokenStreams.ts';
import { sequenceForward } from './sequenceForward.ts';
import { gatherRows, tokenLogProbs, wholeTokenLogProbs } from './tokenLogProbs.ts';

/** Per-token outputs of a training run besides `logProbs`, each [tokens]. */
export const TOKEN_METRICS = ['loss', 'kl', 'entropy', 'clippedLow', 'clippedHigh'] as const;

export const gradientName = (tensor: string) => `gradient/${tensor}`;

/**
 * One graph for scoring and training, so that both have the same bits: the forward pass to `logProbs`, and, where the input `training` is true,
 * losses, metrics and one gradient a trained tensor and row ([batch, ...tensor]; for full training the batch is one sequence, [...tensor]),
 * computed in a branch that is skipped otherwise.
 * Without objective: the forward pass alone.
 */
export function trainingGraph(
  weightFile: WeightFile,
  trained: Omit<TrainedWeights, 'tensors'>,
  objective?: ObjectiveGraph,
): Graph {
  const { config } = weightFile;
  const graph = new Graph(objective ? `train-${objective.key}` : 'score');
  const { tokens, completionRows, targets, temperature, weights, lora, hiddenOf } = sequenceForward(
    graph,
    weightFile,
    trained,
  );
  const flat = hiddenOf(embed(weights, tokens));
  const head = outputHead(config, weights);
  if (!objective) {
    const scored = trained.all ? wholeTokenLogProbs : tokenLogProbs;
    graph.output('logProbs', scored(op.gather(flat, completionRows), head, targets, temperature).logProbs);
    return graph;
  }

  const rowOfPosition = graph.input('rowOfPosition', 'int64', ['batch*sequence']);
  const training = graph.input('training', 'bool', []);
  const stream = (name: string) => graph.input(name, 'float32', ['tokens']);
  const streams = {
    weight: stream('weight'),
    advantages: stream('advantages'),
    reference: stream('referenceLogProbs'),
  };
  const optional = {
    old: stream('oldLogProbs'),
    hasOld: stream('hasOldLogProbs'),
    behaviour: stream('behaviourLogProbs'),
    hasBehaviour: stream('hasBehaviourLogProbs'),
  };
  const sequences = objective.needsSequences && {
    indices: graph.input('sequenceIndices', 'int64', ['tokens']),
    members: stream('sequenceMembers'),
  };
  const settings = new Map(
    Object.keys(objective.settings).map((name) => [name, graph.input(`setting.${name}`, 'float32', [])]),
  );

  const gathered = gatherRows(flat, completionRows, rowOfPosition);
  const { logProbs, entropy } = trained.all
    ? wholeTokenLogProbs(gathered, head, targets, temperature)
    : tokenLogProbs(gathered, head, targets, temperature, training, objective.needsEntropy);
  const trainedInputs = trained.all
    ? [...weights.values()]
    : trained.modules.flatMap(({ module }) => [lora.get(module)!.a, lora.get(module)!.b]);
  const names: string[] = [...TOKEN_METRICS, ...trainedNames(trained, config).map(gradientName)];

  const backward = graph.subgraph('backward', (branch) => {
    const given = (has: Value, value: Value, otherwise: Value) =>
      op.where(op.greater(has, 0), value, op.stopGradient(otherwise));
    const oldLogProbs = given(optional.hasOld, optional.old, logProbs);
    const behaviourLogProbs = given(optional.hasBehaviour, optional.behaviour, oldLogProbs);
    const ownEntropy = objective.needsEntropy ? entropy() : undefined;
    const losses = objective.tokenLosses(
      {
        logProbs,
        oldLogProbs,
        behaviourLogProbs,
        referenceLogProbs: streams.reference,
        advantages: streams.advantages,
        ...(sequences ? { sequences } : {}),
        ...(ownEntropy ? { entropy: ownEntropy } : {}),
      },
      (name) => settings.get(name)!,
    );
    const none = op.zeros(branch, ['tokens']);
    const kl = objective.needsReference ? klEstimate('k3', logProbs, streams.reference) : none;
    const metrics = [losses.loss, kl, ownEntropy ?? entropy(), losses.clippedLow ?? none, losses.clippedHigh ?? none];
    const seed = { value: losses.loss, seed: streams.weight };
    const perSequence = gradients([seed], trainedInputs, { keepRows: new Set(trained.all ? [] : trainedInputs) });
    [...metrics, ...perSequence].forEach((value, i) => branch.output(`backward.${names[i]}`, value!));
  });
  const skipped = graph.subgraph('skipped', (branch) => {
    for (const name of names) branch.output(`skipped.${name}`, op.identity(op.scalar(branch, 0)));
  });
  graph.output('logProbs', logProbs);
  op.choose(training, backward, skipped).forEach((value, i) => graph.output(names[i]!, value));
  return graph;
}
