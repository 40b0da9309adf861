import { describe, expect, it } from 'vitest';
import { startEngine } from '../../../engine/host/engineClient.ts';
import { EngineError } from '../../../engine/policy.ts';
import { fastestOf, offeredProviders, resolveDevice, tryProvider } from '../../../engine/session/device.ts';
import { describeProviders, providerStates } from '../../../engine/session/providerStates.ts';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TINY, writeRandomModel } from '../train/randomModel.ts';

/** Devices that do not work here; a machine where all of them do has nothing to fall back from. */
const states = await providerStates();
const absent = (['cuda', 'webgpu'] as const).find(
  (device) => states.find(({ provider }) => provider === device)?.problem !== undefined,
);

const allWork = 'every device works on this machine';
// Printed too: the reporter tells no notes of tests that did not fail.
if (!absent) console.warn(`skipped: devices that do not work: ${allWork}`);

describe('the device of a configuration', () => {
  it('the CPU always works, and is used where it is asked for', async () => {
    expect(offeredProviders()).toContain('cpu');
    expect(states.find(({ provider }) => provider === 'cpu')).toEqual({ provider: 'cpu' });
    expect(await resolveDevice({ device: 'cpu' })).toEqual({ device: 'cpu', provider: 'cpu' });
  });

  it('a device that does not work fails with cause and remedy, and falls back only if allowed, saying so', async (context) => {
    if (!absent) return context.skip(allWork);
    const { problem } = await tryProvider(absent);
    const failure = await resolveDevice({ device: absent }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(EngineError);
    expect(failure).toMatchObject({ kind: 'invalidInput' });
    expect((failure as Error).message).toContain(
      `engine.device is ${absent}, which does not work on this machine: ${problem}`,
    );
    expect((failure as Error).message).toMatch(/engine\.allowFallback: true .*engine\.device: cpu/);
    expect(await resolveDevice({ device: absent, allowFallback: true })).toEqual({
      device: absent,
      provider: 'cpu',
      note: `${absent} does not work here (${problem}): using the CPU`,
    });
  });

  it("the engine's process reports a fallback with its answers", async (context) => {
    if (!absent) return context.skip(allWork);
    const folder = mkdtempSync(join(tmpdir(), 'device-'));
    const model = { modelPath: await writeRandomModel(join(folder, 'model'), TINY), modelDigest: 'tiny' };
    const common = {
      threads: 1,
      device: absent,
      decodeBatch: 1,
      microBatchTokens: 64,
      cachePath: join(folder, 'cache'),
    };
    const request = {
      policy: model,
      temperature: 1,
      sequences: [{ id: 's', promptTokens: [1], completionTokens: [2, 3] }],
    };
    const strict = startEngine(common);
    await expect(strict.logProbs(request)).rejects.toThrow(`engine.device is ${absent}`);
    await strict.close();
    const lenient = startEngine({ ...common, allowFallback: true });
    const onCpu = startEngine({ ...common, device: 'cpu' });
    expect(lenient.deviceUse!()).toBeUndefined();
    expect(await lenient.logProbs(request)).toEqual(await onCpu.logProbs(request));
    expect(lenient.deviceUse!()).toMatchObject({ device: absent, provider: 'cpu', note: /using the CPU$/ });
    expect(onCpu.deviceUse!()).toEqual({ device: 'cpu', provider: 'cpu' });
    await Promise.all([lenient.close(), onCpu.close()]);
    rmSync(folder, { recursive: true });
  });
});

describe('auto', () => {
  const cpu = { provider: 'cpu', productsMs: 30 } as const;

  it('takes the fastest that works', () => {
    const gpu = { provider: 'cuda', productsMs: 2.25 } as const;
    const none = { provider: 'webgpu', problem: 'no adapter' } as const;
    expect(fastestOf([cpu, gpu, none])).toEqual({
      device: 'auto',
      provider: 'cuda',
      note: 'auto: cpu 30.0 ms, cuda 2.3 ms, webgpu does not work (no adapter): using cuda',
    });
  });

  it('does not take a driver that computes on the processor, however much it is a device', () => {
    const software = { provider: 'webgpu', productsMs: Infinity } as const;
    expect(fastestOf([cpu, software])).toMatchObject({
      provider: 'cpu',
      note: 'auto: cpu 30.0 ms, webgpu far slower: using cpu',
    });
  });
});

it('says of every provider whether it works', () => {
  expect(describeProviders([{ provider: 'cpu' }, { provider: 'cuda', problem: 'not loaded' }])).toBe(
    'cpu works; cuda does not (not loaded)',
  );
});
