import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { TemporalEndpoint } from './connection.ts';

/** Why a server can not be reached: at which step, and in the words of the system. */
export interface ProbeFailure {
  step: 'network' | 'tls';
  reason: string;
}

/**
 * Opens a bare connection to find out why a client could not connect: gRPC libraries only say that a deadline passed.
 *
 * @returns the failure, or undefined when network (and TLS, where used) are fine.
 */
export async function probeEndpoint(
  { address, connection }: TemporalEndpoint,
  timeoutMs = 3000,
): Promise<ProbeFailure | undefined> {
  const { hostname: host, port } = new URL(`tcp://${address}`);
  const target = { host: host.replace(/^\[|\]$/g, ''), port: Number(port || 7233) };
  const network = await attempt(connectTcp(target), 'connect', timeoutMs);
  if (network) return { step: 'network', reason: network };
  const tls = connection?.tls;
  if (!tls) return undefined;
  const custom = typeof tls === 'object' ? tls : undefined;
  const socket = connectTls({
    ...target,
    ...(isNaN(Number(target.host.replaceAll('.', ''))) && { servername: custom?.serverNameOverride ?? target.host }),
    ALPNProtocols: ['h2'],
    ...(custom?.serverRootCACertificate && { ca: Buffer.from(custom.serverRootCACertificate) }),
    ...(custom?.clientCertPair && {
      cert: Buffer.from(custom.clientCertPair.crt),
      key: Buffer.from(custom.clientCertPair.key),
    }),
  });
  const failure = await attempt(socket, 'secureConnect', timeoutMs);
  return failure ? { step: 'tls', reason: failure } : undefined;
}

/** Waits for a socket's event of success; returns what went wrong otherwise. */
async function attempt(
  socket: ReturnType<typeof connectTcp>,
  success: string,
  timeoutMs: number,
): Promise<string | undefined> {
  try {
    return await new Promise((resolve) => {
      socket.once(success, () => resolve(undefined));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(describe(error)));
      socket.once('close', () => resolve('the connection was closed'));
      socket.setTimeout(timeoutMs, () => resolve(`no answer within ${timeoutMs / 1000} s`));
    });
  } finally {
    socket.destroy();
  }
}

function describe(error: NodeJS.ErrnoException): string {
  // Several addresses of one name: the first failure stands for all.
  const first = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error;
  if (first.code === 'ECONNREFUSED') return 'connection refused: nothing listens there';
  if (first.code === 'ENOTFOUND' || first.code === 'EAI_AGAIN') return 'the host name can not be resolved';
  if (first.code === 'ERR_SSL_WRONG_VERSION_NUMBER') return 'it does not speak TLS';
  return first.message.trim();
}
