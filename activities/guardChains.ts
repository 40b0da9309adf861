/** P(unsafe) of the final responses of one shard of chains, by a guard model that the engine runs. The chains' analyses are not shown to it. */
import type { ChainRecord } from '../alignment/chains/chain.ts';
import type { SuiteQuestion } from '../alignment/benchmarks/suites.ts';
import { guardAsking, guardThreshold, type GuardModelSettings } from '../alignment/configuration/guardModel.ts';
import type { Configuration } from '../alignment/configuration/schema.ts';
import type { GuardVerdict } from '../alignment/judges/guardModel.ts';
import type { JudgedText } from '../alignment/judges/judge.ts';
import { requestsById } from '../alignment/library/requestsById.ts';
import { judgedText } from '../alignment/rewards/scoreChain.ts';
import { canonicalJson } from '../infra/artifacts/canonicalJson.ts';
import { sha256 } from '../infra/artifacts/digest.ts';
import { readStep, stepKey } from '../infra/artifacts/steps.ts';
import { askGuard } from './askGuard.ts';
import type { ActivityDependencies, GpuDependencies } from './dependencies.ts';
import { formatInputs } from './formatInputs.ts';
import { reportOf } from './generateChains.ts';
import {
  engineSettings,
  localPolicy,
  policyInputs,
  readConfiguration,
  readJson,
  readLibrary,
  readLines,
} from './inputs.ts';
import type { ModelManifest, ShardList } from './plans.ts';
import { deviceFigures, operatorFailure, runStage, withEngine, type Stage } from './stage.ts';
import type { ArtifactRef, RunContext, ShardReport } from './types.ts';
import { stageVersions } from './versions.ts';

/** Whose chains, and by which model. */
export interface GuardSubject {
  /** The published guard model. */
  model: ArtifactRef;
  /** An evaluation on suites: its questions, and GuardModelSettings. Absent = a run's chains, by `guardModel` of its configuration. */
  suite?: { questions: ArtifactRef; settings: ArtifactRef };
}

export interface GuardInput extends GuardSubject {
  chains: ArtifactRef;
  shard: number;
}

export async function guardChains(
  dependencies: GpuDependencies,
  run: RunContext,
  input: GuardInput,
): Promise<ShardReport> {
  const { store } = dependencies;
  const list = await readJson<ShardList>(store, input.chains);
  const chainsRef = list.shards[input.shard]!.artifact;
  const asked = await readAsked(dependencies, run, input);
  const { configuration, settings } = asked;
  const manifest = await runStage(dependencies, guardStage(chainsRef, asked), async () => {
    const chains = await readLines<ChainRecord>(store, chainsRef);
    const texts = chains.map((chain) => judgedBy(asked, chain));
    const shown = texts.flatMap((text) => text ?? []);
    const weights = await localPolicy(dependencies, configuration, { model: input.model });
    const engine = dependencies.engineFor(engineSettings(dependencies, configuration));
    const startedAt = performance.now();
    const answers =
      shown.length === 0
        ? { verdicts: [], asked: 0, kept: 0, tokens: 0 }
        : await withEngine(engine, (onProgress) => askGuard(engine, weights, guardAsking(settings), shown, onProgress));
    const seconds = (performance.now() - startedAt) / 1000;
    const { unscorable } = requireVerdicts(answers.verdicts, configuration.iteration.maxUnscorable);
    const verdicts = answers.verdicts.values();
    const byChain = texts.map((text): GuardVerdict | null => (text ? verdicts.next().value! : null));
    return {
      outputs: { verdicts: { bytes: canonicalJson(byChain), kind: 'guard-verdicts' } },
      figures: {
        tokens: answers.tokens,
        seconds,
        'guard/asked': answers.asked,
        'guard/kept': answers.kept,
        'guard/unscorable': unscorable,
        'guard/mean_latency_ms': answers.asked === 0 ? 0 : (1000 * seconds) / answers.asked,
        peakMemoryBytes: await engine.peakMemoryBytes(),
        ...deviceFigures(dependencies, engine),
      },
    };
  });
  return reportOf(manifest);
}

/** A model that can't tell of many responses is the wrong one, or asked wrongly: asked again it would say the same. */
function requireVerdicts(verdicts: readonly GuardVerdict[], mostUnscorable: number): { unscorable: number } {
  const without = verdicts.filter(({ unsafe }) => unsafe === null);
  if (without.length > 0 && without.length > mostUnscorable * verdicts.length) {
    throw operatorFailure(
      'Judge',
      `the guard model could not judge ${without.length} of ${verdicts.length} responses: ${without[0]!.unscorable}. Choose another model, template or words in guardModel`,
    );
  }
  return { unscorable: without.length };
}

/** All that the verdicts on a shard depend on, but the chains. */
interface Asked {
  configuration: Configuration;
  settings: GuardModelSettings;
  model: ModelManifest;
  modelRef: ArtifactRef;
  /** By the id of a request or question; absent = it is not asked about. */
  requests: ReadonlyMap<string, string>;
}

async function readAsked(
  { store }: ActivityDependencies,
  run: RunContext,
  { model: modelRef, suite }: GuardSubject,
): Promise<Asked> {
  const configuration = await readConfiguration(store, run);
  const model = await readJson<ModelManifest>(store, modelRef);
  if (suite) {
    const settings = await readJson<GuardModelSettings>(store, suite.settings);
    const questions = await readLines<SuiteQuestion>(store, suite.questions);
    // The goal, not an attack's wording; answers that are right or wrong are not unsafe.
    const harm = questions.filter(({ expected }) => expected === undefined);
    return { configuration, settings, model, modelRef, requests: new Map(harm.map(({ id, goal }) => [id, goal])) };
  }
  const settings = configuration.guardModel!;
  const judged = [...requestsById(await readLibrary(store, run)).values()].filter(
    ({ kind }) => settings.requests === 'all' || kind === 'harmful',
  );
  return {
    ...{ configuration, settings, model, modelRef },
    requests: new Map(judged.map(({ id, request }) => [id, request])),
  };
}

function judgedBy({ requests, configuration }: Asked, chain: ChainRecord): JudgedText | undefined {
  const request = requests.get(chain.requestId);
  return request === undefined ? undefined : judgedText(chain, { request }, configuration);
}

function guardStage(chains: ArtifactRef, { configuration, settings, model, modelRef, requests }: Asked): Stage {
  return {
    stage: 'guardChains',
    version: stageVersions.guardChains,
    inputs: {
      ...policyInputs(configuration, model, { model: modelRef }),
      guard: guardAsking(settings),
      chains: chains.sha256,
      ...formatInputs(configuration.chain),
      requests: sha256(canonicalJson([...requests])),
    },
  };
}

/** The step that judges a shard: part of the key of what is scored by its verdicts. */
export async function guardStepKey(
  dependencies: ActivityDependencies,
  run: RunContext,
  subject: GuardSubject,
  chains: ArtifactRef,
): Promise<string> {
  return stepKey(guardStage(chains, await readAsked(dependencies, run, subject)));
}

/** What a guard model is called in figures: its name and digest, how it was asked, its threshold. */
export async function guardName(
  { store }: Pick<ActivityDependencies, 'store'>,
  { model, settings }: { model: ArtifactRef; settings: ArtifactRef },
): Promise<string> {
  const { name, digest } = await readJson<ModelManifest>(store, model);
  const given = await readJson<GuardModelSettings>(store, settings);
  const asking = sha256(canonicalJson(guardAsking(given))).slice(0, 8);
  return `guard ${name} (${digest.slice(0, 8)}), asked ${asking}, P >= ${guardThreshold(given)}`;
}

/** Verdicts on a shard, one a chain; null = it was not asked about. */
export async function guardVerdicts({ store }: ActivityDependencies, key: string): Promise<(GuardVerdict | null)[]> {
  const manifest = await readStep(store, key);
  if (!manifest) throw new Error('verdicts of the guard model are not in the store: was an artifact removed?');
  return readJson<(GuardVerdict | null)[]>(store, manifest.outputs['verdicts']!);
}
