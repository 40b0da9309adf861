import type { Device } from '../../engine/policy.ts';

const DEVICES: readonly string[] = ['cpu', 'cuda', 'webgpu', 'auto'] satisfies Device[];

/**
 * The device that the reference tests compute on: the CPU, unless CADA_TEST_DEVICE names another one (test/gpu/referencesOn.ts does). It must work: the
 * tests never fall back.
 */
export const testDevice = deviceNamed(process.env['CADA_TEST_DEVICE'] || 'cpu');

function deviceNamed(name: string): Device {
  if (!DEVICES.includes(name)) throw new Error(`CADA_TEST_DEVICE is '${name}': use one of ${DEVICES.join(', ')}`);
  return name as Device;
}
