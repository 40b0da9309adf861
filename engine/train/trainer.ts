import { writeSafetensors } from '../formats/safetensors.ts';
import { baseWeights, readTrained, trainedNames } from '../model/trainedWeights.ts';
import type { TrainedWeights } from '../model/trainedWeights.ts';
import { convertedWeights } from '../model/weightFile.ts';
import type { WeightFile } from '../model/weightFile.ts';
import { EngineError } from '../policy.ts';
import type {
  EngineSettings,
  GradientRequest,
  GradientResult,
  LogProbRequest,
  OnProgress,
  PolicyWeights,
  SequenceMetrics,
  TrainingSequence,
} from '../policy.ts';
import { allFinite, withNonFiniteCause } from '../session/nonFinite.ts';
import { openSession } from '../session/session.ts';
import type { GraphSession, SessionSettings, Tensor } from '../session/session.ts';
import { layOut, trainingFeeds } from './microBatch.ts';
import { checkSequences, planMicroBatches, promptGroups, tokenLimitFor } from './planMicroBatches.ts';
import type { ScoredSequence } from './planMicroBatches.ts';
import { objectiveGraph } from './objectives/objectiveGraph.ts';
import type { ObjectiveGraph } from './objectives/tokenStreams.ts';
import { gradientName, TOKEN_METRICS, trainingGraph } from './trainingGraph.ts';
import { TreeSum } from './treeSum.ts';

/** Unsummed gradients that may wait for their neighbours, bytes. */
const WAITING_GRADIENT_BYTES = 256 * 2 ** 20;

/** @param profilePrefix see SessionSettings: profiles are written when graphs are released */
type TrainerSettings = EngineSettings & Pick<SessionSettings, 'profilePrefix'>;

interface OpenGraph {
  key: string;
  session: GraphSession;
  weightFile: WeightFile;
  objective: ObjectiveGraph | undefined;
}

/**
 * The verbs that run the trainer's graph. One compiled graph is kept (a gigabyte for a 135M model), and reused as long as model, adapter
 * shape and kind of objective stay the same; a graph made for training also scores.
 */
export class Trainer {
  private readonly settings: TrainerSettings;
  private current: OpenGraph | undefined;
  private readonly weightFiles = new Map<string, WeightFile>();

  constructor(settings: TrainerSettings) {
    this.settings = settings;
  }

  /**
   * Gradients of the objective with respect to the adapter, summed over the groups of sequences (TreeSum), written to `outputPath` as float32 safetensors.
   * Throws EngineError('notFinite') naming the sequences and the tensor, EngineError('invalidInput') for malformed requests.
   */
  async gradients(request: GradientRequest, onProgress?: OnProgress): Promise<GradientResult> {
    const { sequences } = request;
    if (sequences.length === 0) throw new EngineError('invalidInput', 'gradients: no sequences');
    const objective = objectiveGraph(request.objective);
    const weightFile = await this.weightsOf(request.model);
    checkSequences(weightFile.config, sequences);
    const adapter = await readTrained(request.adapterPath, weightFile.config);
    if (objective.needsReference && !request.reference)
      throw new EngineError('invalidInput', 'gradients: klWeight > 0 needs a reference');
    const open = await this.open(weightFile, request.model.modelDigest, adapter, objective, onProgress);
    const reference = objective.needsReference ? await this.referenceAdapter(request, adapter, weightFile) : undefined;
    return runGradients(open, {
      sequences,
      adapter,
      reference,
      objective,
      tokenLimit: tokenLimitFor(adapter.all, this.settings.microBatchTokens),
      outputPath: request.outputPath,
      onProgress,
    });
  }

  /** log p of every completion token. Bits are those of the forward pass inside `gradients`. */
  async logProbs(request: LogProbRequest, onProgress?: OnProgress): Promise<number[][]> {
    const weightFile = await this.weightsOf(request.policy);
    checkSequences(weightFile.config, request.sequences);
    const adapter = request.policy.adapterPath
      ? await readTrained(request.policy.adapterPath, weightFile.config)
      : undefined;
    const open = await this.open(weightFile, request.policy.modelDigest, adapter, undefined, onProgress);
    const { sequences } = request;
    const tokenLimit = tokenLimitFor(adapter?.all ?? false, this.settings.microBatchTokens);
    const groups = promptGroups(sequences, tokenLimit);
    const rows = groups.map((group) => group.map((index) => sequences[index]!));
    const result: number[][] = [];
    let done = 0;
    let tokens = 0;
    for (const places of planMicroBatches(rows, tokenLimit)) {
      const own = places.map((place) => rows[place]!);
      const scored = await score(open, own, adapter, request.temperature);
      places.flatMap((place) => groups[place]!).forEach((index, i) => (result[index] = scored.logProbs[i]!));
      done += scored.logProbs.length;
      tokens += scored.realTokens;
      onProgress?.({ phase: 'logProbs', done, total: sequences.length, tokens });
    }
    return result;
  }

  /** Frees the compiled graph. */
  async release(): Promise<void> {
    await this.current?.session.release();
    this.current = undefined;
  }

  private async weightsOf(model: PolicyWeights): Promise<WeightFile> {
    const known = this.weightFiles.get(model.modelDigest) ?? (await convertedWeights(model, this.settings.cachePath));
    this.weightFiles.set(model.modelDigest, known);
    return known;
  }

  /** The graph for a model, an adapter's shape and an objective (undefined: any that scores). */
  private async open(
    weightFile: WeightFile,
    modelDigest: string,
    adapter: TrainedWeights | undefined,
    objective: ObjectiveGraph | undefined,
    onProgress: OnProgress | undefined,
  ): Promise<OpenGraph> {
    const trained = adapter ?? { modules: [], all: false };
    const key = `${modelDigest} ${shapeOf(trained)}`;
    const fits =
      this.current?.key === key && (objective === undefined || this.current.objective?.key === objective.key);
    if (this.current && fits) return this.current;
    await this.release();
    onProgress?.({ phase: 'load', done: 0, total: 1, tokens: 0 });
    const graph = trainingGraph(weightFile, trained, objective);
    const session = await openSession(graph, {
      ...this.settings,
      weightsFolder: weightFile.folder,
      ...(this.settings.profilePrefix ? { profilePrefix: this.settings.profilePrefix } : {}),
    });
    onProgress?.({ phase: 'load', done: 1, total: 1, tokens: 0 });
    this.current = { key, session, weightFile, objective };
    return this.current;
  }

  /** The adapter that KL is measured to, in the shape of the trained one: zeros for the base model. */
  private async referenceAdapter(
    request: GradientRequest,
    adapter: TrainedWeights,
    weightFile: WeightFile,
  ): Promise<TrainedWeights> {
    if (request.reference === 'base' || request.reference === undefined)
      return adapter.all ? baseWeights(weightFile) : withoutEffect(adapter);
    const reference = await readTrained(request.reference.adapterPath, weightFile.config);
    if (shapeOf(reference) !== shapeOf(adapter)) {
      throw new EngineError(
        'invalidInput',
        `reference adapter ${request.reference.adapterPath} has other modules, ranks or scales than ${request.adapterPath}`,
      );
    }
    return reference;
  }
}

/** The adapter with B zero: the same graph then computes the base model. */
function withoutEffect(adapter: TrainedWeights): TrainedWeights {
  const tensors = new Map(
    [...adapter.tensors].map(([name, { data, shape }]) => [name, { data: new Float32Array(data.length), shape }]),
  );
  return { ...adapter, tensors };
}

/** What a graph is compiled for. */
function shapeOf({ modules, all }: Omit<TrainedWeights, 'tensors'>): string {
  return all ? 'all' : modules.map(({ module, rank, scale }) => `${module}:${rank}:${scale}`).join();
}

const adapterFeeds = (adapter: TrainedWeights | undefined): Record<string, Tensor> =>
  Object.fromEntries(adapter?.tensors ?? []);

/** log p of each sequence's completion tokens, group after group, by the forward part of the graph. */
async function score(
  open: OpenGraph,
  groups: readonly ScoredSequence[][],
  adapter: TrainedWeights | undefined,
  temperature: number,
): Promise<{ logProbs: number[][]; realTokens: number }> {
  const sequences = groups.flat();
  const batch = layOut(open.weightFile.config, groups, temperature);
  const feeds = { ...batch.feeds, ...adapterFeeds(adapter) };
  if (open.objective) {
    const unused = sequences.map((sequence): TrainingSequence => ({ ...sequence, weight: 0 }));
    Object.assign(feeds, trainingFeeds(batch, unused, open.objective), {
      training: { data: Uint8Array.of(0), shape: [] },
    });
  }
  const { logProbs } = await open.session.run(feeds, ['logProbs']);
  const values = logProbs!.data as Float32Array;
  const split = await withNonFiniteCause(open.session, feeds, () =>
    batch.spans.map(({ start, end }, i) => {
      const own = Array.from(values.subarray(start, end));
      if (!own.every(Number.isFinite))
        throw new EngineError('notFinite', `sequence '${sequences[i]!.id}': a log-probability is not finite`);
      return own;
    }),
  );
  return { logProbs: split, realTokens: batch.realTokens };
}

interface GradientRun {
  sequences: readonly TrainingSequence[];
  adapter: TrainedWeights;
  reference: TrainedWeights | undefined;
  objective: ObjectiveGraph;
  tokenLimit: number;
  outputPath: string;
  onProgress: OnProgress | undefined;
}

async function runGradients(open: OpenGraph, run: GradientRun): Promise<GradientResult> {
  const { sequences, adapter, objective } = run;
  const names = trainedNames(adapter, open.weightFile.config);
  const sizes = names.map((name) => adapter.tensors.get(name)!.data.length);
  const perGroup = sizes.reduce((sum, size) => sum + size, 0);
  const window = Math.max(1, 2 ** Math.floor(Math.log2(WAITING_GRADIENT_BYTES / (4 * perGroup))));
  const groups = promptGroups(sequences, run.tokenLimit);
  const allRows = groups.map((group) => group.map((index) => sequences[index]!));
  const sum = new TreeSum(groups.length);
  const metrics: SequenceMetrics[] = [];
  const result: GradientResult = { sequences: metrics, computedTokens: 0, filledTokens: 0, realTokens: 0 };
  let done = 0;
  for (const places of planMicroBatches(allRows, run.tokenLimit, window)) {
    const rows = places.map((place) => allRows[place]!);
    const own = rows.flat();
    const references = run.reference && (await score(open, rows, run.reference, objective.temperature)).logProbs;
    const batch = layOut(open.weightFile.config, rows, objective.temperature);
    const feeds = {
      ...batch.feeds,
      ...adapterFeeds(adapter),
      ...trainingFeeds(batch, own, objective, references),
      training: { data: Uint8Array.of(1), shape: [] },
    };
    const outputs = await open.session.run(feeds);
    const values = (name: string) => outputs[name]!.data as Float32Array;
    const take = (members: readonly TrainingSequence[], row: number) => {
      const gradient = new Float32Array(perGroup);
      let offset = 0;
      names.forEach((name, i) => {
        const part = values(gradientName(name)).subarray(row * sizes[i]!, (row + 1) * sizes[i]!);
        checkFinite(part, `gradient of ${name} for ${idsOf(members)}`);
        gradient.set(part, offset);
        offset += sizes[i]!;
      });
      sum.add(places[row]!, gradient);
    };
    await withNonFiniteCause(open.session, feeds, () => {
      const indices = places.flatMap((place) => groups[place]!);
      own.forEach((sequence, i) => {
        const { start, end } = batch.spans[i]!;
        metrics[indices[i]!] = sequenceMetrics(sequence, (name) => values(name).subarray(start, end));
      });
      rows.forEach(take);
    });
    done += own.length;
    result.computedTokens += batch.computedTokens;
    result.filledTokens += batch.filledTokens;
    result.realTokens += batch.realTokens;
    run.onProgress?.({ phase: 'gradient', done, total: sequences.length, tokens: result.realTokens });
  }
  const total = sum.total();
  checkFinite(total, 'sum of the gradients');
  let offset = 0;
  const tensors = names.map((name) => {
    const { data, shape } = adapter.tensors.get(name)!;
    offset += data.length;
    return { name, shape, data: total.subarray(offset - data.length, offset) };
  });
  await writeSafetensors(run.outputPath, tensors, { format: 'pt' });
  return result;
}

/** Sequences whose gradient is one, for messages. */
const idsOf = (members: readonly TrainingSequence[]) =>
  members.length === 1 ? `sequence '${members[0]!.id}'` : `sequences ${members.map(({ id }) => `'${id}'`).join(', ')}`;

function sequenceMetrics(sequence: TrainingSequence, valuesOf: (name: string) => Float32Array): SequenceMetrics {
  const mean = (name: string) => {
    const values = valuesOf(name);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  for (const name of ['logProbs', ...TOKEN_METRICS])
    checkFinite(valuesOf(name), `${name} of sequence '${sequence.id}'`);
  const losses = valuesOf('loss');
  const weightOf = (token: number) => (typeof sequence.weight === 'number' ? sequence.weight : sequence.weight[token]!);
  return {
    id: sequence.id,
    tokens: sequence.completionTokens.length,
    loss: losses.reduce((sum, loss, token) => sum + weightOf(token) * loss, 0),
    meanLogProb: mean('logProbs'),
    kl: mean('kl'),
    entropy: mean('entropy'),
    clipFractionLow: mean('clippedLow'),
    clipFractionHigh: mean('clippedHigh'),
  };
}

/** Throws EngineError('notFinite') naming what holds NaN or infinity. */
export function checkFinite(values: Float32Array, what: string): void {
  if (!allFinite(values)) throw new EngineError('notFinite', `not finite: ${what}`);
}
