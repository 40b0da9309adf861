import { expect, test } from 'vitest';
import type { ActivityDependencies, KillableEngine } from '../../activities/dependencies.ts';
import { engineSettings, policyInputs } from '../../activities/inputs.ts';
import { deviceFigures } from '../../activities/stage.ts';
import { configurationSchema } from '../../alignment/configuration/schema.ts';
import type { DeviceUse } from '../../engine/policy.ts';

const dependencies = { localPath: '/local' } as ActivityDependencies;
const configured = (engine: object) => configurationSchema.parse({ name: 'devices', engine });
const inputsOf = (engine: object) => policyInputs(configured(engine), { digest: 'm' } as never, {} as never);

test('a step key has the device, and the fallback only where it can change what computes', () => {
  expect(inputsOf({})).toEqual(inputsOf({ device: 'cpu', allowFallback: true }));
  expect(inputsOf({})).not.toHaveProperty('allowFallback');
  expect(inputsOf({ device: 'webgpu' })).toMatchObject({ device: 'webgpu' });
  expect(inputsOf({ device: 'webgpu' })).toEqual(inputsOf({ device: 'webgpu', allowFallback: false }));
  expect(inputsOf({ device: 'webgpu', allowFallback: true })).toMatchObject({ device: 'webgpu', allowFallback: true });
});

test('the settings of the engine carry device and fallback', () => {
  expect(engineSettings(dependencies, configured({ device: 'cuda', allowFallback: true }))).toMatchObject({
    device: 'cuda',
    allowFallback: true,
  });
  expect(engineSettings(dependencies, configured({}))).not.toHaveProperty('allowFallback');
});

test("a step's figures say where the engine ran unless that is the CPU as configured, and a fallback is a warning", () => {
  const lines: string[] = [];
  const log = {
    info: (_details: object, message: string) => lines.push(`info: ${message}`),
    warn: (_details: object, message: string) => lines.push(`warn: ${message}`),
  };
  const figures = (use: DeviceUse | undefined) =>
    deviceFigures({ log } as unknown as ActivityDependencies, { deviceUse: () => use } as unknown as KillableEngine);
  expect(figures(undefined)).toEqual({});
  expect(figures({ device: 'cpu', provider: 'cpu' })).toEqual({});
  expect(figures({ device: 'webgpu', provider: 'webgpu' })).toEqual({ device: 'webgpu' });
  expect(lines).toEqual([]);
  expect(figures({ device: 'webgpu', provider: 'cpu', note: 'using the CPU' })).toEqual({
    device: 'cpu',
    deviceNote: 'using the CPU',
  });
  expect(figures({ device: 'auto', provider: 'cuda', note: 'fastest' })).toEqual({
    device: 'cuda',
    deviceNote: 'fastest',
  });
  expect(lines).toEqual(['warn: using the CPU', 'info: fastest']);
});
