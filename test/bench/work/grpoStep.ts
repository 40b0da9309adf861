/**
 * A whole GRPO step: an iteration of a real `cada` run (Temporal, workers, store), against a step of TRL. 4 requests x 8 samples of 96 tokens, LoRA
 * rank 16, no KL term, one optimizer step.
 */
import { spawn } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { IterationRecord, RunRecord } from '../../../activities/types.ts';
import { openStore } from '../../../infra/artifacts/artifactStore.ts';
import type { ArtifactStore } from '../../../infra/artifacts/artifactStore.ts';
import { listHistories, listIterations, listRuns, loadHistory, loadRun } from '../../../infra/artifacts/runs.ts';
import { cadaCache } from '../../../infra/paths.ts';
import type { Bench } from '../bench.ts';
import type { Measurement } from '../figures.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const samples = 8;
const newTokens = 96;
/** Answers are long: nearly every chain is cut at the limit. With the template's system message a prompt has about 40 tokens. */
const requests = [
  'Write a long story about a lighthouse keeper.',
  'Write a long essay about the history of bread.',
  'Tell me a very long tale about two old friends.',
  'Explain in great detail how a piano is built.',
];
const chains = requests.length * samples;

interface Step {
  seconds: number;
  /** Of all chains. */
  sampledTokens: number;
}

/** Steps a minute, as if every chain had its 96 tokens: those that ended before are added in proportion. */
export async function stepSpeed(bench: Bench): Promise<Measurement> {
  const { steps } = await ownSteps(bench);
  const peer = await peerSteps(bench);
  const fullTokens = chains * newTokens;
  const seconds = steps.map((step) => step.seconds * (fullTokens / step.sampledTokens));
  const sampled = steps.map((step) => Math.round((100 * step.sampledTokens) / fullTokens)).join(', ');
  const times = (values: number[]) => values.map((value) => value.toFixed(1)).join(', ');
  return {
    ours: seconds.map((value) => 60 / value),
    ...(peer ? { peer: peer.map((step) => 60 / step.seconds) } : {}),
    note: `seconds a step, ours ${times(seconds)} (${sampled} % of the tokens sampled)${peer ? `, TRL ${times(peer.map((step) => step.seconds))}` : ''}`,
  };
}

/** Peak memory of the engine's process and of TRL's, GB (10^9 bytes). */
export async function stepMemory(bench: Bench): Promise<Measurement> {
  const { peakMemoryBytes } = await ownSteps(bench);
  const peer = await peerSteps(bench);
  return {
    ours: [peakMemoryBytes / 1e9],
    ...(peer ? { peer: [Math.max(...peer.map((step) => step.peakMemoryBytes)) / 1e9] } : {}),
  };
}

/** One `cada` run with an iteration for each run of the bench, in a home of its own. */
function ownSteps(bench: Bench): Promise<{ steps: Step[]; peakMemoryBytes: number }> {
  return bench.once('own steps', async () => {
    await bench.release();
    const folder = join(bench.scratch, 'step');
    await writeConfiguration(bench, folder);
    const home = join(folder, 'home');
    await cada(['train', join(folder, 'step.yaml')], { CADA_HOME: home, CADA_CACHE: cadaCache(), CADA_STORE: '' });
    const store = await openStore(join(home, 'store'));
    const [runId] = await listRuns(store);
    const { record } = (await loadRun<RunRecord>(store, runId!))!;
    return { steps: await stepsOf(store, runId!), peakMemoryBytes: record.peakMemoryBytes['engine']! };
  });
}

interface PeerStep {
  seconds: number;
  peakMemoryBytes: number;
}

function peerSteps(bench: Bench): Promise<PeerStep[] | undefined> {
  return bench.once('steps of TRL', async () => {
    const peer = await bench.peer('trl', [String(bench.runs)]);
    if (!peer) return undefined;
    peer.tell({ requests, samples, new: newTokens });
    const steps: PeerStep[] = [];
    for (let run = 0; run < bench.runs; run++) steps.push(await peer.ask<PeerStep>({}));
    return steps;
  });
}

async function writeConfiguration(bench: Bench, folder: string): Promise<void> {
  const library = join(folder, 'library');
  await mkdir(folder, { recursive: true });
  await cp(join(root, 'library'), library, { recursive: true });
  const lines = requests.map((request, index) =>
    JSON.stringify({ id: `bench-${index}`, category: 'writing', label: 'harmless', kind: 'plain', request }),
  );
  await writeFile(join(library, 'requests', 'training.jsonl'), `${lines.join('\n')}\n`);
  const none = { harmful: 0, plain: 0, lookAlike: 0 };
  const configuration = {
    name: 'bench-step',
    model: { source: bench.model.weights.modelPath },
    engine: { threads: bench.model.settings.threads },
    library: { path: 'library' },
    chain: { maxNewTokens: newTokens },
    warmStart: { enabled: false },
    iteration: {
      count: bench.runs,
      guidance: 'raw',
      requests: { ...none, plain: requests.length },
      samplesPerRequest: samples,
      klWeight: 0,
      // Rewards themselves, none of which is 0: every chain is trained on, as in TRL's step.
      advantage: 'none',
      learningRate: 1e-6,
    },
    rewards: { overlong: 0.25 },
    evaluation: { requests: { ...none, plain: 1 }, probe: none, afterWarmStart: false },
  };
  await writeFile(join(folder, 'step.yaml'), stringify(configuration));
}

/** Wall time of each iteration by the history of its workflow: first to last event. */
async function stepsOf(store: ArtifactStore, runId: string): Promise<Step[]> {
  const names = await listHistories(store, runId);
  const iterations = await listIterations<IterationRecord>(store, runId);
  const steps: Step[] = [];
  for (const { n, value } of iterations.filter(({ n }) => n > 0)) {
    const name = names.find((candidate) => candidate.startsWith(`iteration-${n}.`));
    const { events } = (await loadHistory(store, runId, name!)) as { events: { eventTime: string }[] };
    const seconds = (Date.parse(events.at(-1)!.eventTime) - Date.parse(events[0]!.eventTime)) / 1000;
    steps.push({ seconds, sampledTokens: value.figures['num_tokens']! });
  }
  return steps;
}

/** Runs the command to its end. Throws with its output if it fails. */
function cada(args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(process.execPath, [join(root, 'cli', 'cada.js'), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-4000)));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`cada ${args.join(' ')} ended with code ${code}:\n${output}`)),
    );
  });
}
