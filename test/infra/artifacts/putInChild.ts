/** A process to be killed: publishes files of random bytes one after another, for ever. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openStore } from '../../../infra/artifacts/artifactStore.ts';

const [uri, folder, bytes] = process.argv.slice(2) as [string, string, string];
const store = await openStore(uri, { s3: { multipartBytes: 6e6, partBytes: 5 * 1024 * 1024 } });
const file = join(folder, 'source.bin');
for (let n = 0; ; n++) {
  await writeFile(file, randomBytes(Number(bytes)));
  console.log('putting');
  const ref = await store.putFile(file, 'noise');
  await store.putDocument(`runs/killed/iterations/0-${n}.json`, { filler: 'x'.repeat(20_000), ref }, 'ifAbsent');
  console.log(`put ${ref.sha256}`);
}
