/** The engine process of a gpu worker: one alive at a time, kept for the settings it was started with. */
import { join } from 'node:path';
import type { KillableEngine } from '../activities/dependencies.ts';
import { startEngine } from '../engine/host/engineClient.ts';
import type { EngineSettings } from '../engine/policy.ts';

export interface EngineShelf {
  engineFor(settings: EngineSettings): KillableEngine;
  killAll(): void;
  closeAll(): Promise<void>;
}

export function createEngineShelf(localPath: string): EngineShelf {
  let current: { key: string; engine: KillableEngine } | undefined;
  return {
    engineFor(settings) {
      const key = JSON.stringify(settings);
      if (current?.key === key) return current.engine;
      current?.engine.kill();
      const engine = startEngine(settings, { logFile: join(localPath, `engine-${process.pid}.log`) });
      current = { key, engine };
      return engine;
    },
    killAll() {
      current?.engine.kill();
    },
    async closeAll() {
      await current?.engine.close().catch(() => current?.engine.kill());
    },
  };
}
