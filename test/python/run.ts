/** `npm run test:python`: PEFT and Transformers read what this engine writes, and it reads what PEFT writes. Installs them first if need be. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makePython } from './environment.ts';
import { checkInterchange, TOLERANCE } from './interchange.ts';

let python: string;
try {
  python = makePython();
} catch (error) {
  console.log(`nothing was tested: ${(error as Error).message}`);
  process.exit(1);
}
console.log(`with ${python}`);
const folder = mkdtempSync(join(tmpdir(), 'cada-python-'));
let failed = 0;
let passed = 0;
try {
  for (const [name, outcome] of await checkInterchange(python, folder)) {
    if ('skipped' in outcome) {
      console.log(`skip  ${name}: ${outcome.skipped}`);
      continue;
    }
    const ok = 'difference' in outcome && outcome.difference <= TOLERANCE;
    const found = 'error' in outcome ? outcome.error : `largest difference ${outcome.difference.toExponential(1)}`;
    console.log(`${ok ? 'pass' : 'FAIL'}  ${name}: ${found}`);
    if (ok) passed++;
    else failed++;
  }
} catch (error) {
  console.log(`FAIL  ${(error as Error).message}`);
  failed++;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
