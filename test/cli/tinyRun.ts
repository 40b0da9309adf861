/** A folder with a tiny real model and a configuration that runs it in some ten seconds. */
import { writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { writeTinyChainModel } from '../models/tinyChainModel.ts';
import { tinyConfiguration } from '../workflows/cluster.ts';
import { newFolder } from './runCommand.ts';

export interface TinyRun {
  cwd: string;
  /** The Temporal server of the user's own cache: it is fetched once a machine. */
  env: NodeJS.ProcessEnv;
}

/** @param changes to the configuration, by section. */
export async function tinyRun(changes: Record<string, unknown> = {}): Promise<TinyRun> {
  const cwd = newFolder();
  const model = join(cwd, 'model');
  await writeTinyChainModel(model);
  writeFileSync(join(cwd, 'tiny.yaml'), stringify(tinyConfiguration(model, changes)));
  return { cwd, env: { CADA_CACHE: process.env.CADA_CACHE ?? join(homedir(), '.cache', 'cada') } };
}
