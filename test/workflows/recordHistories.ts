/**
 * Records the histories that replay.test.ts replays, from a whole run on the tiny model: `node test/workflows/recordHistories.ts`. To be done again when
 * workflows change in a way that old histories need not survive. Addresses, machine and process names are replaced: a replay does not look at them.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format } from 'prettier';
import { listHistories, loadHistory } from '../../infra/artifacts/runs.ts';
import { createInstallation } from './cluster.ts';
import type { HistoryJson } from './historyEvents.ts';

const recorded = {
  run: 'alignPolicy',
  'warm-start': 'warmStartPolicy',
  'iteration-2': 'runIteration',
  'evaluate-before': 'evaluatePolicy',
};
const runId = 'recorded';
const neutralStore = 's3://bucket/cada';

const installation = await createInstallation();
try {
  const { outcome } = await installation.train(runId);
  if (outcome.state !== 'done') throw new Error(`the run ended ${outcome.state}: ${outcome.cause}`);
  const folder = join(import.meta.dirname, 'histories');
  await mkdir(folder, { recursive: true });
  const names = await listHistories(installation.store, runId);
  for (const [prefix, workflowType] of Object.entries(recorded)) {
    const name = names.find((one) => one.startsWith(`${prefix}.`))!;
    const history = scrubbed(await loadHistory<HistoryJson>(installation.store, runId, name));
    const text = JSON.stringify(history);
    if (text.includes(installation.folder)) throw new Error(`${name} still holds a path of this machine`);
    await writeFile(join(folder, `${workflowType}.json`), await format(text, { parser: 'json', printWidth: 120 }));
  }
} finally {
  await installation.remove();
}
process.exit(0);

/** Payloads with the store's address replaced; who did it left out. */
function scrubbed(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => scrubbed(one));
  if (typeof value === 'string') {
    if (key === 'identity') return 'process';
    return key === 'data' ? withNeutralStore(value) : value;
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, scrubbed(part, name)]));
}

function withNeutralStore(base64: string): string {
  const text = Buffer.from(base64, 'base64').toString('utf8');
  return Buffer.from(text.replaceAll(installation.store.uri, neutralStore)).toString('base64');
}
