/** A store that is a folder serves one machine only. */

export class UnsharedStoreError extends Error {
  override readonly name = 'UnsharedStoreError';
}

/**
 * @throws UnsharedStoreError where the store is a folder but the Temporal server, and with it other workers, may be on another machine.
 */
export function requireSharedStore(storeUri: string, temporalAddress: string): void {
  if (!storeUri.startsWith('file:')) return;
  const host = new URL(`tcp://${temporalAddress}`).hostname.replace(/^\[|\]$/g, '');
  if (host === 'localhost' || host === '::1' || host.startsWith('127.')) return;
  throw new UnsharedStoreError(
    `The store ${storeUri} is a folder of this machine, but the Temporal server ${temporalAddress} is not on this machine: workers elsewhere could not read the artifacts. ` +
      'Set CADA_STORE=s3://bucket/prefix.',
  );
}
