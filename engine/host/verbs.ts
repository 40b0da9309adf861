import { totalmem } from 'node:os';
import { SuffixSearcher } from '../attack/suffixSearcher.ts';
import { Embedder } from '../embeddings/embedder.ts';
import { writeMergedFolder } from '../formats/mergedFolder.ts';
import { sampleSequences } from '../generate/sampleSequences.ts';
import { createAdapter } from '../model/createAdapter.ts';
import { describeModel } from '../model/describe.ts';
import { openMergedTensors } from '../model/mergedWeights.ts';
import { policyWeights } from '../model/trainedWeights.ts';
import type { EngineSettings, OnProgress } from '../policy.ts';
import { Trainer } from '../train/trainer.ts';
import { update } from '../train/update.ts';
import type { VerbArgument, VerbName, VerbResult } from './messages.ts';
import { OpenSamplers } from './openSamplers.ts';

type Verbs = {
  [Name in VerbName]: (argument: VerbArgument<Name>, onProgress: OnProgress) => Promise<VerbResult<Name>>;
};

/**
 * Models with fewer bytes of weights than a 32nd of the memory stay compiled for sampling and training at once: six times their weights in all. Larger
 * ones are held for one of the two, and compiled again when the work changes, which takes about two seconds a GB.
 */
const HELD_TWICE_BYTES = Math.max(128 * 2 ** 20, availableBytes() / 32);

/** Memory of the machine, or of the container. */
function availableBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(totalmem(), limit) : totalmem();
}

/** Prompt tokens computed together at most: enough to use all cores, few enough for attention's scores to stay small. Never changes bits. */
const PREFILL_TOKENS = 1024;

/** What the engine's process does for each verb. */
export function engineVerbs(settings: EngineSettings): Verbs {
  const samplers = new OpenSamplers(settings);
  const trainer = new Trainer(settings);
  const embedder = new Embedder(settings);
  const searcher = new SuffixSearcher(settings);

  /** Frees the sampler's memory before the trainer takes its own. */
  const beforeTraining = async () => {
    await searcher.release();
    if (samplers.weightBytes > HELD_TWICE_BYTES) await samplers.release();
    await embedder.release();
  };

  return {
    describe: (model) => describeModel(model),

    async sample({ policy, weights, prompts, options }, onProgress) {
      await searcher.release();
      await embedder.release();
      const sampler = await samplers.open(policy, weights, {
        onProgress,
        beforeLargeModel: () => trainer.release(),
        largeBytes: HELD_TWICE_BYTES,
      });
      const limits = { decodeBatch: settings.decodeBatch, prefillTokens: PREFILL_TOKENS };
      return sampleSequences(sampler, prompts, options, limits, onProgress);
    },

    async logProbs(request, onProgress) {
      await beforeTraining();
      return trainer.logProbs(request, onProgress);
    },

    async embed(request, onProgress) {
      // Only for a while: what is compiled for training would have to make room for both.
      await trainer.release();
      if (samplers.weightBytes > HELD_TWICE_BYTES) await samplers.release();
      return embedder.embed(request, onProgress);
    },

    async gradients(request, onProgress) {
      await beforeTraining();
      return trainer.gradients(request, onProgress);
    },

    async searchSuffix(request, onProgress) {
      await trainer.release();
      if (samplers.weightBytes > HELD_TWICE_BYTES) await samplers.release();
      return searcher.search(request, onProgress);
    },

    update: (request) => update(request),

    createAdapter: (request) => createAdapter(request),

    async exportMerged({ policy, outputPath }, onProgress) {
      const { weightFile, adapter } = await policyWeights(policy, settings.cachePath);
      const merged = await openMergedTensors(weightFile, adapter, settings);
      try {
        await writeMergedFolder(outputPath, {
          config: weightFile.config,
          tensor: (name) => merged.read(name),
          tokenizerPath: policy.modelPath,
          onProgress: (done, total) => onProgress({ phase: 'merge', done, total, tokens: 0 }),
        });
      } finally {
        await merged.close();
      }
    },
  };
}
