/** A whole CADA installation for tests: store, Temporal server and workers as real processes, with a tiny real model. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configurationSchema, type Configuration } from '../../alignment/configuration/schema.ts';
import { train } from '../../cli/operate/training.ts';
import type { RunReporter, TrainOutcome } from '../../cli/operations.ts';
import { openStore, type ArtifactStore } from '../../infra/artifacts/artifactStore.ts';
import { loadRun } from '../../infra/artifacts/runs.ts';
import { artifactsFolder, runFolders } from '../../infra/paths.ts';
import type { RunProgress, RunRecord } from '../../activities/types.ts';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';
import { readLedger, type LedgerEntry } from './ledger.ts';

export interface TestInstallation {
  /** Holds everything of the installation. */
  folder: string;
  home: string;
  configuration: Configuration;
  store: ArtifactStore;
  /** `cada train` in the foreground; the snapshots it showed. */
  train(runId: string, options?: TestTrainOptions): Promise<TestTrainResult>;
  record(runId: string): Promise<RunRecord>;
  ledger(runId: string): Promise<LedgerEntry[]>;
  logs(runId: string): string;
  remove(): Promise<void>;
}

export interface TestTrainOptions {
  configuration?: Configuration;
  signal?: AbortSignal;
  /** Stay when the run waits for its operator. */
  wait?: boolean;
  /** Who gives the command. */
  by?: string;
  /** Hand it to the server and return. */
  detach?: boolean;
  onSnapshot?: (snapshot: RunProgress) => void;
}

export interface TestTrainResult {
  outcome: TrainOutcome;
  record: RunRecord;
  lines: string[];
}

/** Sizes that keep a whole run at some twenty seconds, of which most is starting processes. */
export function tinyConfiguration(modelPath: string, changes: Record<string, unknown> = {}): Configuration {
  return configurationSchema.parse({
    name: 'tiny',
    model: { source: modelPath, fallback: false },
    engine: { threads: 1, microBatchTokens: 2048 },
    chain: { maxNewTokens: 10 },
    cases: { count: 2 },
    lora: { rank: 4, alpha: 8 },
    warmStart: {
      requests: { harmful: 10, plain: 6, lookAlike: 4 },
      samplesPerRequest: 2,
      epochs: 1,
      batchSequences: 8,
      temperature: 1,
      learningRate: 3e-4,
      // With warm-up the first of so few steps would have rate 0.
      warmupRatio: 0,
    },
    iteration: { count: 2, requests: { harmful: 3, plain: 2, lookAlike: 1 }, samplesPerRequest: 4, learningRate: 3e-4 },
    evaluation: {
      requests: { harmful: 6, plain: 6, lookAlike: 6 },
      probe: { harmful: 2, plain: 2, lookAlike: 0 },
      bootstrapSamples: 200,
    },
    shards: { generationRequests: 5, gradientSequences: 4 },
    ...changes,
  });
}

/** @param changes top-level settings that replace those of the tiny configuration. */
export async function createInstallation(changes: Record<string, unknown> = {}): Promise<TestInstallation> {
  const folder = await mkdtemp(join(tmpdir(), 'cada-pipeline-'));
  const home = join(folder, 'home');
  const modelPath = join(folder, 'tiny-model');
  await mkdir(home);
  await writeTinyChainModel(modelPath);
  const store = await openStore(artifactsFolder(home));
  const configuration = tinyConfiguration(modelPath, changes);
  const record = async (runId: string): Promise<RunRecord> =>
    (await loadRun<RunRecord>(store, runId))?.record as RunRecord;
  const logs = (runId: string): string => runFolders(home, runId).logs;
  return {
    folder,
    home,
    configuration,
    store,
    record,
    logs,
    ledger: (runId) => readLedger(logs(runId)),
    async train(runId, options = {}) {
      const lines: string[] = [];
      const reporter: RunReporter = {
        snapshot: (snapshot) => options.onSnapshot?.(snapshot as RunProgress),
        line: (text) => lines.push(text),
        uiAddress: (address) => lines.push(address),
      };
      const outcome = await train(
        {
          runId,
          storeUri: store.uri,
          home,
          signal: options.signal ?? new AbortController().signal,
          configuration: options.configuration ?? configuration,
          detach: options.detach ?? false,
          wait: options.wait ?? false,
          by: options.by ?? 'tester',
        },
        reporter,
      );
      return { outcome, record: await record(runId), lines };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
