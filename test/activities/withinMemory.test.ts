/** The engine's memory can't be made to run out on demand: an engine that says so above a limit stands in for it. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import type { GpuDependencies, KillableEngine } from '../../activities/dependencies.ts';
import { withEngine, withinMemory } from '../../activities/stage.ts';
import { EngineError, type EngineErrorKind, type EngineSettings } from '../../engine/policy.ts';

const settings = (microBatchTokens: number): EngineSettings => ({
  threads: 1,
  device: 'cpu',
  decodeBatch: 1,
  microBatchTokens,
  cachePath: `cache-${Math.random()}`,
});

/** Tries of an engine that fails above `limit` tokens. */
function machine(limit: number, kind: EngineErrorKind = 'outOfMemory') {
  const tries: number[] = [];
  const warnings: string[] = [];
  const dependencies = {
    log: { info: () => {}, warn: (_details: object, message: string) => warnings.push(message) },
    engineFor: ({ microBatchTokens }: EngineSettings) =>
      ({
        kill: () => {},
        describe: () => {
          tries.push(microBatchTokens);
          return microBatchTokens > limit
            ? Promise.reject(new EngineError(kind, 'no room'))
            : Promise.resolve('described');
        },
      }) as unknown as KillableEngine,
  } as unknown as GpuDependencies;
  const run = (given: EngineSettings) =>
    new MockActivityEnvironment().run(() =>
      withinMemory(dependencies, given, (engine) => withEngine(engine, () => engine.describe({} as never))),
    );
  return { tries, warnings, run };
}

test('halves the micro-batch until it fits, says so, and starts there the next time', async () => {
  const { tries, warnings, run } = machine(400);
  const given = settings(1536);
  expect(await run(given)).toEqual({ result: 'described', microBatchTokens: 384 });
  expect(tries).toEqual([1536, 768, 384]);
  expect(warnings).toHaveLength(2);
  expect(await run(given)).toMatchObject({ microBatchTokens: 384 });
  expect(tries).toEqual([1536, 768, 384, 384]);
});

test('gives up where the smallest does not fit', async () => {
  const { tries, run } = machine(1);
  await expect(run(settings(256))).rejects.toThrow('no room');
  expect(tries).toEqual([256, 128, 64]);
});

test('another failure is not tried again here', async () => {
  const { tries, run } = machine(1, 'crashed');
  await expect(run(settings(256))).rejects.toThrow('no room');
  expect(tries).toEqual([256]);
});
