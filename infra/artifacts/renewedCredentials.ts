/** Keys that are exchanged while a process runs: the SDK renews those with an end, and keeps all others for as long as the process lives. */
import type { S3Client } from '@aws-sdk/client-s3';

type Credentials = Awaited<ReturnType<S3Client['config']['credentials']>>;

/**
 * A request that is refused is sent once more where the client's source of credentials (shared files, `credential_process`, role) gives others now than
 * those it was signed with. Environment variables can't change in a running process.
 *
 * @param wasRefused tells a refusal, which other credentials may mend, from what they can't.
 */
export function renewWhenRefused(client: S3Client, wasRefused: (error: unknown) => boolean): void {
  const current = (options?: { forceRefresh: boolean }): Promise<Credentials | undefined> =>
    client.config.credentials(options).catch(() => undefined);
  // The outermost step: all that is within, signing too, is done anew. Bodies are buffers (also parts of an upload), so they can be sent again.
  client.middlewareStack.add(
    (next) => async (args) => {
      const used = await current();
      try {
        return await next(args);
      } catch (error) {
        if (!wasRefused(error)) throw error;
        // Another request may have renewed them meanwhile.
        if (!differ(used, await current()) && !differ(used, await current({ forceRefresh: true }))) throw error;
        return await next(args);
      }
    },
    { step: 'initialize', priority: 'high', name: 'renewCredentialsWhenRefused' },
  );
}

function differ(used: Credentials | undefined, found: Credentials | undefined): boolean {
  if (!found) return false;
  return (['accessKeyId', 'secretAccessKey', 'sessionToken'] as const).some((name) => used?.[name] !== found[name]);
}
