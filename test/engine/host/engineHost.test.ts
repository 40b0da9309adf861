import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openSampler } from '../../../engine/generate/sampler.ts';
import { sampleSequences } from '../../../engine/generate/sampleSequences.ts';
import type { HostedEngine } from '../../../engine/host/engineClient.ts';
import { exitError, startEngine } from '../../../engine/host/engineClient.ts';
import { convertedWeights } from '../../../engine/model/weightFile.ts';
import type { EngineProgress, EngineSettings, SampleRequest } from '../../../engine/policy.ts';
import { fillB } from '../filledAdapter.ts';
import { TINY_CONFIG, writeRandomModel } from '../generate/tinyModel.ts';

let folder: string;
let settings: EngineSettings;
let model: { modelPath: string; modelDigest: string };
const engines: HostedEngine[] = [];

const engine = (...options: Parameters<typeof startEngine> extends [unknown, ...infer Rest] ? Rest : never) => {
  const started = startEngine(settings, ...options);
  engines.push(started);
  return started;
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'engine-host-'));
  settings = { threads: 1, device: 'cpu', decodeBatch: 4, microBatchTokens: 512, cachePath: join(folder, 'cache') };
  model = { modelPath: await writeRandomModel(join(folder, 'model'), TINY_CONFIG), modelDigest: 'tiny' };
});
afterEach(async () => {
  for (const started of engines.splice(0)) await started.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

const request = (maxNewTokens = 12, policy: SampleRequest['policy'] = model): SampleRequest => ({
  policy,
  prompts: [
    { id: 'a', tokens: [5, 6, 7, 8, 9], prefixLength: 2, seeds: ['a0', 'a1', 'a2'] },
    { id: 'b', tokens: [5, 6, 17, 18], prefixLength: 2, seeds: ['b0', 'b1', 'b2'] },
  ],
  options: { temperature: 1, maxNewTokens, stopTokens: [] },
});

/** A request that takes far longer than a test waits. */
const endless = () => request(4000);

/** Starts a call and waits until it decodes. */
async function decoding(hosted: HostedEngine): Promise<{ call: Promise<unknown> }> {
  let call!: Promise<unknown>;
  await new Promise<void>((resolve) => {
    call = hosted.sample(endless(), ({ phase }) => {
      if (phase === 'decode') resolve();
    });
    call.catch(() => undefined);
  });
  return { call };
}

describe('engine process', () => {
  it('samples what the same code samples in this process, reporting progress', async () => {
    const progress: EngineProgress[] = [];
    const hosted = engine();
    const sampled = await hosted.sample(request(), (report) => progress.push(report));
    const sampler = await openSampler(await convertedWeights(model, settings.cachePath), undefined, settings);
    const { prompts, options } = request();
    expect(sampled).toEqual(await sampleSequences(sampler, prompts, options, { decodeBatch: 2, prefillTokens: 32 }));
    await sampler.release();
    expect(new Set(progress.map(({ phase }) => phase))).toEqual(new Set(['load', 'prefill', 'decode']));
    expect(progress.at(-1)).toEqual({ phase: 'decode', done: 6, total: 6, tokens: 72 });
    expect(await hosted.peakMemoryBytes()).toBeGreaterThan(30e6);
  });

  it('serves calls one after another, in order', async () => {
    const hosted = engine();
    const order: string[] = [];
    await Promise.all([
      hosted.sample(request(40)).then(() => order.push('long')),
      hosted.sample(request(1)).then(() => order.push('short')),
      hosted.describe(model).then(({ vocabularySize }) => order.push(`describe ${vocabularySize}`)),
    ]);
    expect(order).toEqual(['long', 'short', 'describe 300']);
  });

  it('passes errors with their kind and goes on', async () => {
    const hosted = engine();
    const { prompts, ...rest } = request();
    await expect(hosted.sample({ ...rest, prompts: [{ ...prompts[0]!, tokens: [1, 300] }] })).rejects.toMatchObject({
      name: 'EngineError',
      kind: 'invalidInput',
      message: /prompt 'a': token 300 is not in the vocabulary of 300/,
    });
    const before = hosted.pid();
    await expect(hosted.describe({ ...model, modelPath: join(folder, 'absent') })).rejects.toMatchObject({
      kind: 'invalidInput',
      message: /absent/,
    });
    expect(await hosted.sample(request())).toHaveLength(6);
    expect(hosted.pid()).toBe(before);
  });

  it('kill rejects the running call; the next call runs in a new process, with the same result', async () => {
    const exits: unknown[] = [];
    const hosted = engine({ onExit: ({ signal }) => exits.push(signal) });
    const expected = await hosted.sample(request());
    const first = hosted.pid();
    const { call } = await decoding(hosted);
    const rejected = expect(call).rejects.toMatchObject({ kind: 'crashed', message: 'the engine was stopped' });
    hosted.kill();
    await rejected;
    expect(exits).toEqual(['SIGKILL']);
    expect(await hosted.sample(request())).toEqual(expected);
    expect(hosted.pid()).not.toBe(first);
  });

  it('a process that dies rejects its calls as crashed', async () => {
    const hosted = engine({ logFile: join(folder, 'logs', 'engine.log') });
    const { call } = await decoding(hosted);
    const pid = hosted.pid()!;
    process.kill(pid, 'SIGKILL');
    await expect(call).rejects.toMatchObject({ kind: 'crashed', message: /ended by SIGKILL/ });
    expect(hosted.pid()).toBeUndefined();
    expect(readFileSync(join(folder, 'logs', 'engine.log'), 'utf8')).toBe('');
  });

  it('ends when its parent is killed, in the middle of a call', async () => {
    const program = `
      import { startEngine } from ${JSON.stringify(new URL('../../../engine/host/engineClient.ts', import.meta.url).href)};
      const engine = startEngine(${JSON.stringify(settings)});
      engine.sample(${JSON.stringify(endless())}, ({ phase }) => phase === 'decode' && console.log(engine.pid()));
    `;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number.parseInt(line.toString(), 10);
    expect(isRunning(pid)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);
  });

  it('does not keep an idle parent alive', async () => {
    const program = `
      import { startEngine } from ${JSON.stringify(new URL('../../../engine/host/engineClient.ts', import.meta.url).href)};
      const engine = startEngine(${JSON.stringify(settings)});
      console.log((await engine.describe(${JSON.stringify(model)})).layers);
    `;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const output: Buffer[] = [];
    parent.stdout.on('data', (bytes: Buffer) => output.push(bytes));
    const [code] = (await once(parent, 'close')) as [number];
    expect([code, Buffer.concat(output).toString()]).toEqual([0, '2\n']);
  });
});

describe('adapters', () => {
  it('a fresh adapter changes nothing, a trained one does, and the exported merge samples like it', async () => {
    const hosted = engine();
    const adapterPath = join(folder, 'adapter');
    await hosted.createAdapter({
      model,
      lora: { rank: 4, alpha: 8, targets: ['q_proj', 'down_proj'], rankStabilized: false },
      seed: 'seed',
      outputPath: adapterPath,
      baseModelName: 'tiny',
    });
    const policy = { ...model, adapterPath };
    const base = await hosted.sample(request());
    expect(await hosted.sample(request(12, policy))).toEqual(base);

    await fillB(join(adapterPath, 'adapter_model.safetensors'));
    const adapted = await hosted.sample(request(12, policy));
    expect(adapted.map(({ tokens }) => tokens)).not.toEqual(base.map(({ tokens }) => tokens));

    const merged = { modelPath: join(folder, 'merged'), modelDigest: 'merged' };
    const progress: EngineProgress[] = [];
    await hosted.exportMerged({ policy, outputPath: merged.modelPath }, (report) => progress.push(report));
    expect(progress.at(-1)).toEqual({ phase: 'merge', done: 20, total: 20, tokens: 0 });
    expect(await hosted.sample(request(12, merged))).toEqual(adapted);

    // The trainer computes W x + scale B (A x), the sampler (W + scale B A) x.
    const { prompts } = request();
    const scored = await hosted.logProbs({
      policy,
      temperature: 1,
      sequences: adapted.map(({ promptId, tokens }, i) => ({
        id: `${i}`,
        promptTokens: prompts.find(({ id }) => id === promptId)!.tokens,
        completionTokens: tokens,
      })),
    });
    const difference = adapted.flatMap(({ logProbs }, i) =>
      logProbs.map((value, t) => Math.abs(value - scored[i]![t]!)),
    );
    expect(Math.max(...difference)).toBeLessThan(1e-4);
  });
});

describe('exitError', () => {
  const exit = { code: null, signal: null, errorTail: '' };
  it('knows exhausted memory by what the process said', () => {
    const aborted = {
      ...exit,
      signal: 'SIGABRT' as const,
      errorTail: "terminate called after throwing an instance of 'std::bad_alloc'",
    };
    expect(exitError(aborted, false)).toMatchObject({ kind: 'outOfMemory', message: /SIGABRT.*bad_alloc/ });
    const heap = { ...exit, code: 134, errorTail: 'FATAL ERROR: JavaScript heap out of memory' };
    expect(exitError(heap, false).kind).toBe('outOfMemory');
  });
  it('everything else is a crash', () => {
    expect(exitError({ ...exit, signal: 'SIGSEGV' }, false)).toMatchObject({ kind: 'crashed', message: /SIGSEGV/ });
    expect(exitError({ ...exit, code: 3, errorTail: 'text' }, false)).toMatchObject({
      kind: 'crashed',
      message: /code 3; it said: text/,
    });
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
