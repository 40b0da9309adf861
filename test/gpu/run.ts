/**
 * `npm run test:gpu`: the operators and the reference tests of the engine on CUDA and on WebGPU hardware, with every set of reference numbers there is. Where
 * a device does not work, says so and what was not run. `-- --software`: WebGPU on a Vulkan driver in software too (many minutes).
 * Exit code 1 if a test fails; a device that is not there is no failure.
 */
import type { Device } from '../../engine/policy.ts';
import { providerStates } from '../../engine/session/providerStates.ts';
import { DEVICE_TESTS, referencesOn } from './referencesOn.ts';
import { softwareVulkan } from './softwareVulkan.ts';

/** Whole optimizer steps against TRL, and greedy generation against Transformers. */
const TESTS = [...DEVICE_TESTS, 'test/reference/train.test.ts', 'test/reference/generate.test.ts'];

const NAMES = { cuda: 'CUDA', webgpu: 'WebGPU' } as const;
let failed = false;

async function runOn(device: Device, title: string, env: Record<string, string> = {}): Promise<void> {
  console.log(`\n${title}: ${TESTS.join(', ')}`);
  const totals = await referencesOn({ device, env, tests: TESTS, show: true });
  console.log(`${title}: ${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
  failed ||= !totals.ok;
}

const states = await providerStates();
for (const provider of ['cuda', 'webgpu'] as const) {
  const state = states.find((known) => known.provider === provider);
  const problem = state ? state.problem : 'the installed ONNX Runtime does not have it';
  if (problem === undefined) await runOn(provider, `On the ${NAMES[provider]} device`);
  else console.log(`no ${NAMES[provider]} device: ${problem}\n  not run on ${NAMES[provider]}: ${TESTS.join(', ')}`);
}
if (process.argv.includes('--software')) {
  const driver = await softwareVulkan();
  if ('problem' in driver) console.log(`no Vulkan driver in software: ${driver.problem}`);
  else await runOn('webgpu', 'On WebGPU in software', driver.env);
}
process.exit(failed ? 1 : 0);
