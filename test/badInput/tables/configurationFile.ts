/** Malformed configurations as files: what every table of them is made with. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readConfiguration } from '../../../infra/configuration/readConfiguration.ts';
import type { BadInput } from '../badInput.ts';

type Says = (string | RegExp)[];

export function file(name: string, content: string | Uint8Array, ...says: Says): BadInput {
  return {
    name,
    input: async (folder) => {
      const path = join(folder, 'run.yaml');
      await writeFile(path, content);
      return () => readConfiguration(path);
    },
    says: [/The configuration has (one problem|\d+ problems):\n/, ...says],
  };
}

/** The lines stand below `name: a`, so the first of them is line 2. */
export const lines = (name: string, text: string, ...says: Says): BadInput => file(name, `name: a\n${text}\n`, ...says);
