/**
 * Peer: llama.cpp through node-llama-cpp, on the CPU. Arguments: address of node-llama-cpp's module, GGUF file, threads.
 *
 * Request: { batch, prompt, new }: that many random prompts decoded side by side, temperature 1. Answer: { seconds, tokens }.
 */
import { createInterface } from 'node:readline';
import { pseudoRandom } from '../randomTokens.ts';

/** What is used of node-llama-cpp, which is no dependency of the project. */
interface LlamaModule {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<LlamaModel> }>;
}
interface LlamaModel {
  createContext(options: object): Promise<LlamaContext>;
}
interface LlamaContext {
  getSequence(): LlamaSequence;
  dispose(): Promise<void>;
}
interface LlamaSequence {
  evaluate(tokens: number[], options: object): AsyncIterable<number>;
}
interface Request {
  batch: number;
  prompt: number;
  new: number;
}

const vocabulary = 48_000;
const [moduleAddress, modelPath, threadsText] = process.argv.slice(2) as [string, string, string];
const threads = Number(threadsText);
const { getLlama } = (await import(moduleAddress)) as LlamaModule;
const llama = await getLlama({
  gpu: false,
  build: 'never',
  skipDownload: true,
  logLevel: 'error',
  maxThreads: threads,
});
const model = await llama.loadModel({ modelPath });
const random = pseudoRandom(1);

const answer = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
answer({ ready: true });
for await (const line of createInterface({ input: process.stdin })) answer(await measure(JSON.parse(line) as Request));
process.exit(0);

async function measure({ batch, prompt, new: newTokens }: Request): Promise<{ seconds: number; tokens: number }> {
  const context = await model.createContext({
    sequences: batch,
    contextSize: prompt + newTokens,
    batchSize: Math.max(512, batch),
    threads,
  });
  const sequences = Array.from({ length: batch }, () => context.getSequence());
  const prompts = sequences.map(() => Array.from({ length: prompt }, () => 20 + Math.floor(random() * vocabulary)));
  const started = performance.now();
  const counts = await Promise.all(
    sequences.map(async (sequence, index) => {
      let count = 0;
      const options = { temperature: 1, topK: 0, topP: 1, minP: 0, yieldEogToken: true };
      for await (const _token of sequence.evaluate(prompts[index]!, options)) if (++count === newTokens) break;
      return count;
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  await context.dispose();
  return { seconds, tokens: counts.reduce((sum, count) => sum + count, 0) };
}
