import { randomUUID } from 'node:crypto';
import type { ArtifactStore } from '../artifacts/artifactStore.ts';
import type { Finding } from './check.ts';
import { fail, ok } from './check.ts';

/**
 * Opens the store, writes a small document on condition that it is absent, and makes sure that a second such write does not replace it:
 * the promise that nothing finished is lost rests on that. The document is removed.
 *
 * @param open e.g. `() => openStore(uri)`.
 */
export async function examineStore(
  open: () => Promise<Pick<ArtifactStore, 'uri' | 'putDocument' | 'deleteDocument'>>,
): Promise<Finding> {
  let uri = 'the store';
  try {
    const store = await open();
    uri = store.uri;
    const key = `doctor/${randomUUID()}.json`;
    const first = await store.putDocument(key, { writer: 1 }, 'ifAbsent');
    const second = await store.putDocument(key, { writer: 2 }, 'ifAbsent');
    await store.deleteDocument(key);
    if (!first.adopted && second.adopted) return ok(`${uri}: readable, writable, conditional writes work`);
    return fail(
      `${uri} ignores If-None-Match`,
      'Two workers could overwrite each other there. Use a store with conditional writes (Amazon S3, versitygw, MinIO, a folder).',
    );
  } catch (error) {
    return fail(
      `${uri} can not be used: ${(error as Error).message}`,
      'Correct CADA_STORE, the endpoint (AWS_ENDPOINT_URL_S3) or the credentials, or the permission to write.',
    );
  }
}
