/** What can be known to be wrong before anything is started: the model on this machine, and whether the library has what the configuration asks for. */
import { stat } from 'node:fs/promises';
import { faithfulnessProblem, pairsOf } from '../../alignment/configuration/faithfulness.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { validatorJudge, validatorSettings } from '../../alignment/configuration/validator.ts';
import { contrastPairs } from '../../alignment/evaluation/contrastPairs.ts';
import { iterationRequests, selectRequests } from '../../alignment/evaluation/selectRequests.ts';
import type { Library } from '../../alignment/library/library.ts';
import { openModel } from '../../engine/model/weights.ts';
import { EngineError } from '../../engine/policy.ts';
import { loadTokenizer } from '../../engine/tokenizer/tokenizer.ts';
import { resolveModel } from '../../infra/modelSource/resolveModel.ts';
import { cadaCache } from '../../infra/paths.ts';
import { badInput } from '../errors.ts';

/**
 * Opens a model that is a folder or a GGUF file of this machine: shape, every tensor's place, tokenizer and chat template. A model of the hub is
 * checked once it is fetched.
 * @throws CliError, ModelSourceError: bad input.
 */
export async function checkLocalModel({ model }: Configuration): Promise<void> {
  if (!(await stat(model.source).catch(() => undefined))) return;
  const { modelPath } = await resolveModel(model, { cachePath: cadaCache(), onProgress: () => {} });
  try {
    await (await openModel(modelPath)).close();
    await loadTokenizer(modelPath);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    throw badInput(`The model cannot be used: ${error.message}`, 'It is named by model.source in the configuration.');
  }
}

/**
 * Chooses requests as the stages will.
 * @throws CliError naming the file of the library that has too few, and how many are asked for.
 */
export function checkRequests(configuration: Configuration, library: Library): void {
  const { evaluation, warmStart, iteration, cases } = configuration;
  const { requests } = library;
  const { withhold = [], decontaminate } = configuration.library;
  const withholds = withhold.length > 0;
  const remedy =
    (withholds ? ', or let library.withhold name fewer hazards' : '') +
    (decontaminate ? ', or let library.decontaminate name fewer benchmarks' : '');
  const training = 'requests/training.jsonl';
  const evaluated = `requests/${evaluation.split}.jsonl`;
  try {
    selectRequests(requests[evaluation.split], evaluation.requests, '', evaluated);
    selectRequests(requests[evaluation.split], evaluation.probe, '', evaluated);
    if (evaluation.faithfulness)
      contrastPairs(requests[evaluation.split], pairsOf(evaluation.faithfulness), '', evaluated);
    if (warmStart.enabled) selectRequests(requests.training, warmStart.requests, '', training);
    if (validatorJudge(iteration.preference))
      selectRequests(
        requests.development,
        validatorSettings(iteration.preference).requests,
        '',
        'requests/development.jsonl',
      );
    if (iteration.count > 0) iterationRequests(requests.training, iteration.requests, 1, '', training);
  } catch (error) {
    throw badInput((error as Error).message + remedy);
  }
  const pairs = new Set(library.cases.map(({ pair }) => pair)).size;
  if ((withholds || decontaminate) && cases.sampling !== 'none' && cases.count / 2 > pairs)
    throw badInput(
      `cases.count asks for ${cases.count / 2} contrast pairs, but ${pairs} are left without what library.${withholds ? 'withhold' : 'decontaminate'} names.`,
      `Lower cases.count, or ${withholds ? 'withhold fewer hazards' : 'decontaminate of fewer benchmarks'}.`,
    );
}

/**
 * Whether analyses can be swapped, as `--faithfulness` and a study ask for it beside a run's own configuration.
 * @throws Error that says what is missing.
 */
export function checkPairs({ chain, evaluation }: Configuration, { requests }: Library): void {
  const faithfulness = evaluation.faithfulness ?? {};
  const problem = faithfulnessProblem({ faithfulness }, chain);
  if (problem !== undefined) throw new Error(`faithfulness: ${problem}`);
  const { split } = evaluation;
  contrastPairs(requests[split], pairsOf(faithfulness), '', `requests/${split}.jsonl`);
}
