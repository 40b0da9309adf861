/**
 * Runs whose stages take no time: real server, real workflows, real records in a real store, but nothing is generated and nothing is trained. An adapter is
 * a text that says what it came from, so that two runs have the same adapter only where they were told to do the same.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker, bundleWorkflowCode } from '@temporalio/worker';
import type { WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { createControlActivities } from '../../activities/control.ts';
import type { UpdateStepInput } from '../../activities/computeGradients.ts';
import { runPlan } from '../../activities/runPlan.ts';
import { stateAttribute, taskQueues } from '../../activities/types.ts';
import type {
  ArtifactRef,
  Figures,
  GenerationPurpose,
  PolicyState,
  RunContext,
  RunRecord,
} from '../../activities/types.ts';
import type { ScoredChain } from '../../alignment/chains/chain.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { memoryFromRecord } from '../../cli/operate/resuming.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { canonicalJson } from '../../infra/artifacts/canonicalJson.ts';
import { evaluationFigures } from '../../alignment/evaluation/figures.ts';
import { loadRun, saveRun } from '../../infra/artifacts/runs.ts';
import { dataConverter } from '../../infra/temporal/payloadCodec.ts';
import { versioningOf } from '../../workers/versioning.ts';
import type { RunInput } from '../../workflows/alignPolicy.ts';
import { carriedOver } from '../../workflows/carriedMemory.ts';
import { startTestServer, type TestServer, type TestServerOptions } from '../servers/temporalServer.ts';
import { tinyConfiguration } from './cluster.ts';

export interface Step {
  iteration: number;
  epoch: number;
  learningRate: number;
  klWeight: number;
}

/** What the stages do instead of nothing; each test sets its own. */
export interface Script {
  /** Called at the beginning of each attempt; may wait, or throw. */
  before?: (stage: string, step: Step | undefined) => void | Promise<void>;
  /** Called before the workflow's own entries are added to the audit log. */
  beforeAudit?: (what: string) => Promise<void>;
  /** Figures of an iteration's step and rewards. */
  figures?: (step: Step) => Figures;
  generationShards: number;
  /** Answers of an evaluation: what its figures are of. */
  answers?: (name: string) => { scored: ScoredChain }[];
  /** Nothing is kept of what was asked for. */
  forgetful?: boolean;
}

export interface InstantCluster {
  server: TestServer;
  client: Client;
  store: ArtifactStore;
  home: string;
  script: Script;
  /** Every attempt: its stage, and the step for those of an iteration. */
  calls: { stage: string; step?: Step }[];
  /** Publishes, announces and starts a run, or goes on with one that has a record. */
  start(runId: string, configuration: Configuration, options?: { archive?: boolean }): Promise<WorkflowHandle>;
  record(runId: string): Promise<RunRecord>;
  /** One more control worker, of another build. */
  addBuild(build: Build): Promise<void>;
  stop(): Promise<void>;
}

export interface Build {
  deploymentName: string;
  buildId: string;
}

/** A configuration of few stages. */
export function instantConfiguration(iteration: Record<string, unknown> = {}, name = 'instant'): Configuration {
  return tinyConfiguration('Owner/model', {
    name,
    iteration: { count: 3, learningRate: 1e-3, ...iteration },
    evaluation: { afterWarmStart: false, probe: { harmful: 0, plain: 0, lookAlike: 0 } },
  });
}

let bundle: Promise<WorkflowBundleWithSourceMap> | undefined;
let runtime: object | undefined;

/**
 * @param options.build of the control worker; absent = it is not versioned.
 * @param options.storeFolder below the cluster's own folder. @default 'store'
 */
export async function startInstantCluster({
  build,
  storeFolder = 'store',
  ...options
}: TestServerOptions & { build?: Build; storeFolder?: string } = {}): Promise<InstantCluster> {
  const home = await mkdtemp(join(tmpdir(), 'cada-instant-'));
  const server = await startTestServer({ searchAttributes: { [stateAttribute]: 'Keyword' }, ...options });
  const store = await openStore(join(home, storeFolder));
  const connection = await Connection.connect({ address: server.address });
  const client = new Client({ connection, dataConverter: dataConverter({}) });
  const cluster: Pick<InstantCluster, 'script' | 'calls'> = { script: { generationShards: 1 }, calls: [] };
  runtime ??= Runtime.install({ logger: new DefaultLogger('ERROR') });
  bundle ??= bundleWorkflowCode({ workflowsPath: resolve('workflows/index.ts'), logger: new DefaultLogger('ERROR') });
  const native = await NativeConnection.connect({ address: server.address });
  const activities = instantActivities(store, cluster);
  const startWorker = async (kind: string, taskQueue: string, own?: Build): Promise<Worker> =>
    Worker.create({
      connection: native,
      taskQueue,
      activities,
      dataConverter: dataConverter({}),
      maxHeartbeatThrottleInterval: '100ms',
      shutdownForceTime: '2s',
      ...(kind === 'control'
        ? { workflowBundle: await bundle!, maxCachedWorkflows: 50, ...(own ? versioningOf(envOf(own)) : {}) }
        : {}),
    });
  const workers = await Promise.all(
    Object.entries(taskQueues).map(([kind, taskQueue]) => startWorker(kind, taskQueue, build)),
  );
  const running = workers.map((worker) => worker.run());
  return Object.assign(cluster, {
    server,
    client,
    store,
    home,
    async start(runId: string, configuration: Configuration, { archive = false } = {}) {
      const known = (await loadRun<RunRecord>(store, runId))?.record;
      const put = (value: unknown, kind: string) => store.putBytes(canonicalJson(value), kind);
      const run: RunContext = {
        runId,
        configuration: known?.configuration ?? (await put(configuration, 'configuration')),
        library: known?.library ?? (await put({}, 'library')),
      };
      const inEffect = JSON.parse(new TextDecoder().decode(await store.getBytes(run.configuration))) as Configuration;
      const plan = runPlan(inEffect);
      const carried = known ? await memoryFromRecord(store, known, plan, { line: () => undefined }) : undefined;
      if (!known) await saveRun(store, runId, firstRecord(run, plan.iterations));
      const input: RunInput = { run, plan, server: { searchable: true, archive } };
      return client.workflow.start('alignPolicy', {
        workflowId: runId,
        taskQueue: taskQueues.control,
        args: carried ? [input, ...carriedOver(carried)] : [input],
      });
    },
    record: async (runId: string) => (await loadRun<RunRecord>(store, runId))!.record,
    async addBuild(own: Build) {
      const worker = await startWorker('control', taskQueues.control, own);
      workers.push(worker);
      running.push(worker.run());
    },
    async stop() {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      await Promise.all(running);
      await Promise.all([connection.close(), native.close()]);
      await server.stop();
      await rm(home, { recursive: true, force: true });
    },
  });
}

const envOf = ({ deploymentName, buildId }: Build) => ({ CADA_DEPLOYMENT: deploymentName, CADA_BUILD_ID: buildId });

const firstRecord = (run: RunContext, iterations: number): RunRecord => ({
  ...run,
  state: 'running',
  stage: 'start',
  iteration: 0,
  iterations,
  evaluations: {},
  wallSeconds: {},
  peakMemoryBytes: {},
});

function instantActivities(store: ArtifactStore, cluster: Pick<InstantCluster, 'script' | 'calls'>) {
  const log = { info: () => undefined, warn: () => undefined };
  const real = createControlActivities({ store, localPath: '', scratchPath: '', downloadPath: '', log });
  const ref = (kind: string, id: unknown): ArtifactRef => {
    const sha256 = Buffer.from(`${kind} ${JSON.stringify(id)}`)
      .toString('hex')
      .padEnd(64, '0')
      .slice(-64);
    return { uri: `${store.uri}/objects/${sha256}`, sha256, bytes: 1, kind };
  };
  const put = (kind: string, value: unknown) => store.putBytes(canonicalJson(value), kind);
  const read = async <T>(artifact: ArtifactRef) =>
    JSON.parse(new TextDecoder().decode(await store.getBytes(artifact))) as T;
  /** The step that the run's plans lead to; of the warm start and of evaluations there is none. */
  const called = async (stage: string, step?: Step): Promise<void> => {
    if (!cluster.script.forgetful) cluster.calls.push({ stage, ...(step ? { step } : {}) });
    await cluster.script.before?.(stage, step);
  };
  const sample = async (run: RunContext, purpose: GenerationPurpose) => {
    const { iteration } = await read<Configuration>(run.configuration);
    const step: Step | undefined =
      purpose.kind === 'iteration'
        ? {
            iteration: purpose.iteration,
            epoch: purpose.epoch,
            learningRate: iteration.learningRate,
            klWeight: iteration.klWeight,
          }
        : undefined;
    await called('sampleCases', step);
    const shards = step ? cluster.script.generationShards : 1;
    return { plan: await put('generation-plan', { step: step ?? null, purpose }), shards, items: shards };
  };
  const stepOf = async (artifact: ArtifactRef): Promise<Step | undefined> =>
    (await read<{ step: Step | null }>(artifact)).step ?? undefined;
  const shard = { cached: false, tokens: 1, seconds: 0.001, peakMemoryBytes: 1 };
  return {
    ...real,
    noteAudit: async (...[run, note]: Parameters<typeof real.noteAudit>) => {
      await cluster.script.beforeAudit?.(note.what);
      return real.noteAudit(run, note);
    },
    prepareModel: async () => {
      await called('prepareModel');
      return { model: await put('model', { files: [] }), notes: [] };
    },
    selectRequests: sample,
    sampleCases: sample,
    generateChains: async (_run: RunContext, input: { plan: ArtifactRef; shard: number }) => {
      await called('generateChains', await stepOf(input.plan));
      return shard;
    },
    collectChains: async (_run: RunContext, { plan }: { plan: ArtifactRef }) => ({
      artifact: await put('chain-list', { step: (await stepOf(plan)) ?? null }),
      scoringShards: 1,
      figures: {},
    }),
    rewardChains: () => Promise.resolve(shard),
    collectRewards: async (_run: RunContext, { chains }: { chains: ArtifactRef }) => {
      const step = await stepOf(chains);
      const { reward = 0.5 } = step ? (cluster.script.figures?.(step) ?? {}) : {};
      return { artifact: await put('reward-list', { step: step ?? null }), figures: { reward } };
    },
    planWarmStart: async () => ({
      plan: await put('optimisation-plan', { step: null }),
      shardsPerStep: [1],
      sequences: 1,
      figures: {},
    }),
    planUpdate: async (_run: RunContext, { chains }: { chains: ArtifactRef }) => ({
      plan: await put('optimisation-plan', { step: (await stepOf(chains)) ?? null }),
      shardsPerStep: [1],
      sequences: 1,
      figures: {},
    }),
    createAdapter: () => put('adapter', 'fresh'),
    computeGradients: async (_run: RunContext, { plan }: UpdateStepInput) => {
      await called('computeGradients', await stepOf(plan));
      return shard;
    },
    updatePolicy: async (_run: RunContext, { plan, policy, reference }: UpdateStepInput) => {
      const step = await stepOf(plan);
      await called('updatePolicy', step);
      const from = policy.adapter!.sha256;
      return {
        policy: {
          model: policy.model,
          adapter: await put('adapter', { from, step: step ?? null, reference: reference?.adapter?.sha256 ?? null }),
          optimizer: await put('optimizer', { from, step: step ?? null }),
        } satisfies PolicyState,
        figures: { kl: 0.01, grad_norm: 1, loss: 0.1, ...(step ? cluster.script.figures?.(step) : {}) },
        cached: false,
        seconds: 0.001,
      };
    },
    measureUtility: async () => {
      await called('measureUtility');
      return { losses: ref('answer-losses', 0), peakMemoryBytes: 1 };
    },
    summariseEvaluation: async (_run: RunContext, { name }: { name: string }) => {
      await called('summariseEvaluation');
      const answers = cluster.script.answers?.(name) ?? [];
      const figures = evaluationFigures(answers.map(({ scored }) => scored));
      return { artifact: await put('evaluation', { name, answers, figures }), figures: { format: 1 } };
    },
    exportPolicy: async (_run: RunContext, policy: PolicyState) => {
      await called('exportPolicy');
      const card = await store.putBytes('# Card\n', 'export');
      const files = [
        { path: 'adapter/README.md', artifact: card },
        { path: 'adapter/adapter_model.safetensors', artifact: policy.adapter! },
      ];
      return put('export', { files });
    },
    writeReport: async (run: RunContext, { exported }: { exported: ArtifactRef }) => {
      await called('writeReport');
      return put('report', { exported: exported.sha256, configuration: run.configuration.sha256 });
    },
  };
}
