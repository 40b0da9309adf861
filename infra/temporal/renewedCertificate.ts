/**
 * The client certificate of a command that follows work for days: connections that are made anew (the server was restarted, the network was away) show
 * the one that the settings name by then. The connection there is goes on with the one it was made with.
 */
import { createSecureContext } from 'node:tls';
import { experimental, type ChannelCredentials } from '@grpc/grpc-js';
import type { TemporalConnectionOptions } from './connection.ts';

type Tls = Exclude<TemporalConnectionOptions['tls'], boolean | undefined>;
type CertificateProvider = experimental.CertificateProvider;

const lookMs = 10_000;

/**
 * @param first what the command began with: a pair of certificate and key, perhaps an authority
 * @param read what the settings have by now; a pair that does not fit, or settings that can't be read, are looked at again
 */
export function renewedCertificate(
  first: Tls,
  read: () => TemporalConnectionOptions['tls'],
  everyMs = lookMs,
): ChannelCredentials {
  let inUse = first;
  const renewals = new Set<() => void>();
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    try {
      const found = read();
      if (typeof found !== 'object' || !found.clientCertPair) return;
      // Throws where one is exchanged and the other not yet.
      createSecureContext({ cert: Buffer.from(found.clientCertPair.crt), key: Buffer.from(found.clientCertPair.key) });
      inUse = found;
      for (const renew of renewals) renew();
    } catch {
      // The server says what it thinks of the certificate there is.
    }
  };
  const watching = <Update>(update: () => Update) => {
    const told = new Map<(update: Update) => void, () => void>();
    return {
      add(listener: (update: Update) => void): void {
        const tell = (): void => listener(update());
        told.set(listener, tell);
        renewals.add(tell);
        if (timer === undefined) {
          timer = setInterval(look, everyMs).unref();
          look();
        }
        tell();
      },
      remove(listener: (update: Update) => void): void {
        renewals.delete(told.get(listener)!);
        told.delete(listener);
        if (renewals.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      },
    };
  };
  const authority = watching(() => ({ caCertificate: authorityOf(inUse) }));
  const identity = watching(() => ({
    certificate: Buffer.from(inUse.clientCertPair!.crt),
    privateKey: Buffer.from(inUse.clientCertPair!.key),
  }));
  const provider: CertificateProvider = {
    addCaCertificateListener: authority.add,
    removeCaCertificateListener: authority.remove,
    addIdentityCertificateListener: identity.add,
    removeIdentityCertificateListener: identity.remove,
  };
  return experimental.createCertificateProviderChannelCredentials(provider, provider);
}

/** Where none is named Node takes those that it knows: gRPC hands on what it is given. */
const authorityOf = ({ serverRootCACertificate }: Tls): Buffer =>
  serverRootCACertificate ? Buffer.from(serverRootCACertificate) : (undefined as unknown as Buffer);
