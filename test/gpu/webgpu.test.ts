import { expect, it } from 'vitest';
import { DEVICE_TESTS, referencesOn } from './referencesOn.ts';
import { softwareVulkan } from './softwareVulkan.ts';

/** Compiling shaders for a processor takes most of it: half a minute on an idle machine. */
const TIMEOUT_MS = 900_000;

const driver = await softwareVulkan();
if ('problem' in driver) console.warn(`skipped: WebGPU on a Vulkan driver in software: ${driver.problem}`);

it.skipIf('problem' in driver)(
  'on WebGPU (software Vulkan) the forward pass, LoRA, all gradients and sampling agree with the committed reference numbers, within the tolerances of the CPU',
  async () => {
    const { env } = driver as { env: Record<string, string> };
    // The committed numbers only, and gradients of all weights by one of two ways: `npm run test:gpu` has the rest.
    const totals = await referencesOn({
      device: 'webgpu',
      env: { ...env, GOLDEN_DIR: 'none' },
      tests: DEVICE_TESTS,
      options: ['--testNamePattern=^(?!.*every parameter, by the trainer)'],
    });
    expect(totals, totals.output).toMatchObject({ ok: true, failed: 0 });
    const ran = (name: RegExp) => totals.names.filter((test) => name.test(test)).length;
    expect(ran(/here on webgpu/)).toBeGreaterThanOrEqual(10);
    expect(ran(/on webgpu the tokens of a small model/)).toBe(1);
    expect(ran(/logits at every token/)).toBeGreaterThanOrEqual(2);
    expect(ran(/of every LoRA matrix/)).toBeGreaterThanOrEqual(2);
    expect(ran(/of every parameter/)).toBeGreaterThanOrEqual(2);
    expect(ran(/logits with the adapter on/)).toBeGreaterThanOrEqual(1);
  },
  TIMEOUT_MS,
);
