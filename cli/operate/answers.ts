/** One request answered at once, without Temporal: by the untouched model with growing guidance (`cada try`), or by base and aligned model (`cada ask`). */
import { join } from 'node:path';
import prettyBytes from 'pretty-bytes';
import { loadChatTokenizer } from '../../activities/chatTokenizer.ts';
import { engineSettings, localPolicy, readConfiguration, readLibrary } from '../../activities/inputs.ts';
import type { ActivityDependencies } from '../../activities/dependencies.ts';
import { parseChain } from '../../alignment/chains/chain.ts';
import { reasoningTurnOf } from '../../alignment/chains/reasoningTurn.ts';
import { sampleCases } from '../../alignment/cases/sampleCases.ts';
import { parseLibrary } from '../../alignment/library/parseLibrary.ts';
import { guidedPrompt, promptSettings, rawPrompt, type Prompt } from '../../alignment/prompts/guidedPrompt.ts';
import type { Configuration } from '../../alignment/configuration/schema.ts';
import { startEngine } from '../../engine/host/engineClient.ts';
import type { EngineSettings, PolicyWeights } from '../../engine/policy.ts';
import { openStore } from '../../infra/artifacts/artifactStore.ts';
import { loadRun } from '../../infra/artifacts/runs.ts';
import { cadaCache, cadaHome } from '../../infra/paths.ts';
import { checkModel, resolveModel, type ModelProgress } from '../../infra/modelSource/resolveModel.ts';
import type { RunRecord } from '../../activities/types.ts';
import { badInput } from '../errors.ts';
import type { Answer, RunRequest } from '../operations.ts';
import { readRunLibrary } from './libraryFiles.ts';
import { vectorsNow } from './nearCases.ts';

export async function tryRequest(request: {
  text: string;
  configuration: Configuration;
  report: (line: string) => void;
}): Promise<Answer[]> {
  const { configuration, report } = request;
  const library = parseLibrary(await readRunLibrary(configuration.library));
  const resolved = await resolveModel(configuration.model, { cachePath: cadaCache(), onProgress: tenths(report) });
  for (const note of resolved.notes) report(note);
  const { digest } = await checkModel(resolved.modelPath);
  const policy: PolicyWeights = { modelPath: resolved.modelPath, modelDigest: digest };
  // Cases of any category: nobody has labelled this request.
  const asked = { id: 'request', category: '', request: request.text };
  const vectors = await vectorsNow(configuration, policy, library, request.text);
  const cases = sampleCases(library, asked, configuration.cases, `${configuration.seed}/try`, vectors);
  const settings = promptSettings(configuration);
  const { localPath } = localFolders();
  return answerAll(engineSettings({ localPath } as ActivityDependencies, configuration), configuration.chain, [
    { label: 'nothing', policy, prompt: rawPrompt(asked) },
    { label: 'codes', policy, prompt: guidedPrompt(asked, [], library.codes, settings) },
    { label: 'codes and cases', policy, prompt: guidedPrompt(asked, cases, library.codes, settings) },
  ]);
}

export async function ask(request: RunRequest & { text: string }): Promise<Answer[]> {
  const store = await openStore(request.storeUri);
  const record = (await loadRun<RunRecord>(store, request.runId))?.record;
  if (!record?.policy?.adapter) {
    throw badInput(
      `Run "${request.runId}" has no adapter yet.`,
      'Wait until its warm start has ended (`cada status`).',
    );
  }
  const configuration = await readConfiguration(store, record);
  await readLibrary(store, record);
  const dependencies: ActivityDependencies = {
    store,
    ...localFolders(),
    downloadPath: cadaCache(),
    log: { info: () => {}, warn: () => {} },
  };
  const aligned = await localPolicy(dependencies, configuration, record.policy);
  const { adapterPath: _, ...base } = aligned;
  const prompt = rawPrompt({ request: request.text });
  return answerAll(engineSettings(dependencies, configuration), configuration.chain, [
    { label: 'base', policy: base, prompt },
    { label: 'aligned', policy: aligned, prompt },
  ]);
}

/** Says of a download each tenth that has come. */
function tenths(report: (line: string) => void): (progress: ModelProgress) => void {
  let told = '';
  return ({ phase, file, bytes, totalBytes }) => {
    if (phase !== 'download' || totalBytes === 0) return;
    const line = `${file}: ${Math.floor((10 * bytes) / totalBytes)}0 % of ${prettyBytes(totalBytes)}`;
    if (line !== told) report(line);
    told = line;
  };
}

function localFolders(): { localPath: string; scratchPath: string } {
  const localPath = join(cadaHome(), 'local');
  return { localPath, scratchPath: join(localPath, 'asked') };
}

async function answerAll(
  settings: EngineSettings,
  chain: Configuration['chain'],
  questions: { label: string; policy: PolicyWeights; prompt: Prompt }[],
): Promise<Answer[]> {
  const engine = startEngine(settings);
  try {
    const answers: Answer[] = [];
    for (const { label, policy, prompt } of questions) {
      const tokenizer = await loadChatTokenizer(policy.modelPath, reasoningTurnOf(chain));
      const { tokens } = tokenizer.encodeChat(prompt.messages, { addGenerationPrompt: true });
      const startedAt = performance.now();
      const [sample] = await engine.sample({
        policy,
        prompts: [{ id: label, tokens, prefixLength: 0, seeds: [''] }],
        options: { temperature: 0, maxNewTokens: chain.maxNewTokens, stopTokens: tokenizer.eosTokens },
      });
      const text = tokenizer.opened + tokenizer.decode(sample!.tokens, { skipSpecial: true });
      const { analysis, finalResponse } = parseChain(text, chain);
      answers.push({ label, text, analysis, finalResponse, seconds: (performance.now() - startedAt) / 1000 });
    }
    return answers;
  } finally {
    await engine.close();
  }
}
