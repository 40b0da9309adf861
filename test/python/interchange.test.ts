import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPython } from './environment.ts';
import type { Outcome } from './interchange.ts';
import { CHECKS, checkInterchange, TOLERANCE } from './interchange.ts';

const found = findPython();
if ('missing' in found) console.warn(`skipped: adapters and models to and from PEFT: ${found.missing}`);

describe.skipIf('missing' in found)('adapters and models to and from PEFT', () => {
  let folder: string;
  let outcomes: Map<string, Outcome>;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cada-python-'));
    if ('python' in found) outcomes = await checkInterchange(found.python, folder);
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.for(CHECKS)('%s', (name, { skip }) => {
    const outcome = outcomes.get(name)!;
    if ('skipped' in outcome) return skip(outcome.skipped);
    expect(outcome).toHaveProperty('difference');
    if ('difference' in outcome) expect(outcome.difference).toBeLessThanOrEqual(TOLERANCE);
  });
});
