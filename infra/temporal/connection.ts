import type { ConnectionOptions } from '@temporalio/client';
import { Client, Connection } from '@temporalio/client';
import { loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig';
import type { ClientConfigProfile } from '@temporalio/envconfig';
import type { NativeConnection } from '@temporalio/worker';
import { dataConverter } from './payloadCodec.ts';
import { probeEndpoint } from './probe.ts';
import { renewedCertificate } from './renewedCertificate.ts';

/** Where the orchestration of a run happens: a server that is already there, or an embedded one that the run starts itself. */
export type TemporalTarget = ExternalTemporal | { kind: 'embedded' };

export interface ExternalTemporal {
  kind: 'external';
  address: string;
  namespace: string;
  /** What said so, for messages. */
  source: string;
  connection: TemporalConnectionOptions;
}

/** The options that clients and workers have in common. */
export interface TemporalConnectionOptions {
  address: string;
  apiKey?: string;
  tls?: Exclude<ConnectionOptions['tls'], null>;
  /** Headers of every call. */
  metadata?: Record<string, string>;
}

/** What a client or worker needs to find its server: both `ExternalTemporal` and an embedded server fit. */
export interface TemporalEndpoint {
  address: string;
  namespace: string;
  connection?: TemporalConnectionOptions;
}

/** The server can not be used; the message says what is wrong and what to do. */
export class TemporalConnectionError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'TemporalConnectionError';
  }
}

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * Decides between an external server and an embedded one. External when an address is given by `TEMPORAL_ADDRESS`, else by the run
 * configuration, else by the profile of `temporal.toml` (`TEMPORAL_CONFIG_FILE`, `TEMPORAL_PROFILE`); namespace alike.
 * TLS, API key and metadata come from `TEMPORAL_*` and the profile.
 *
 * @param configured address and namespace of the run configuration.
 * @throws TemporalConnectionError when the settings can not be read, contradict each other or name a server only by its credentials.
 */
export function resolveTemporal(
  env: NodeJS.ProcessEnv,
  configured: { address?: string; namespace?: string } = {},
): TemporalTarget {
  const profile = readProfile(env);
  const address = env.TEMPORAL_ADDRESS || configured.address || profile.address;
  if (!address) {
    if (env.TEMPORAL_API_KEY || env.TEMPORAL_TLS_CLIENT_CERT_PATH || env.TEMPORAL_TLS_CLIENT_CERT_DATA) {
      throw new TemporalConnectionError(
        'Credentials for a Temporal server are set (TEMPORAL_API_KEY or TEMPORAL_TLS_CLIENT_CERT_*) but no address: ' +
          'set TEMPORAL_ADDRESS to host:port, or unset them to use an embedded server',
      );
    }
    return { kind: 'embedded' };
  }
  if (/^\w+:\/\//.test(address)) {
    throw new TemporalConnectionError(
      `The Temporal address "${address}" must be host:port without a scheme; TLS is switched on by TEMPORAL_TLS=true`,
    );
  }
  const namespace = env.TEMPORAL_NAMESPACE || configured.namespace || profile.namespace || 'default';
  let options;
  try {
    options = toClientOptions({ ...profile, address, namespace }).connectionOptions;
  } catch (error) {
    throw new TemporalConnectionError(
      `A TLS file for the Temporal server at ${address} can not be read: ${(error as Error).message}`,
      error,
    );
  }
  if (profile.tls && !profile.tls.disabled && Boolean(profile.tls.clientCert) !== Boolean(profile.tls.clientKey)) {
    throw new TemporalConnectionError(
      'A TLS client needs both a certificate and a key: set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH',
    );
  }
  const source = env.TEMPORAL_ADDRESS
    ? 'TEMPORAL_ADDRESS'
    : configured.address
      ? 'the run configuration'
      : 'temporal.toml';
  const { apiKey, tls, metadata } = options;
  return {
    kind: 'external',
    address,
    namespace,
    source,
    connection: {
      address,
      ...(typeof apiKey === 'string' && { apiKey }),
      ...(tls !== undefined && tls !== null && { tls }),
      ...(metadata && { metadata: metadata as Record<string, string> }),
    },
  };
}

/**
 * The environment for workers of an embedded server: it alone is named. Credentials, TLS and a profile of `temporal.toml` that are meant
 * for another server would break the connection, and API keys have no business in processes that do not need them.
 */
export function embeddedEnvironment(
  env: NodeJS.ProcessEnv,
  { address, namespace }: TemporalEndpoint,
): NodeJS.ProcessEnv {
  const others = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_')));
  // The empty path means: no file, and not the default one either.
  return { ...others, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, TEMPORAL_CONFIG_FILE: '' };
}

const API_KEY_HOLDS_MS = 10_000;

/** The API key as the settings have it by now: `temporal.toml` may be given another while a command follows a run. The one it began with where they can't be read. */
export function currentApiKey(first: string, env: NodeJS.ProcessEnv, holdsMs = API_KEY_HOLDS_MS): () => string {
  let key = first;
  let readAt = Date.now();
  return () => {
    if (Date.now() - readAt >= holdsMs) {
      readAt = Date.now();
      try {
        const target = resolveTemporal(env);
        if (target.kind === 'external') key = target.connection.apiKey ?? key;
      } catch {
        // Half written, perhaps: it is read again, and the server says what it thinks of the key there is.
      }
    }
    return key;
  };
}

/** A client's connection, not yet made: its certificate is read again for each one that it makes, its API key for each call. */
function clientConnection(
  first: TemporalConnectionOptions,
  env: NodeJS.ProcessEnv,
  connectTimeout: number,
): Connection {
  const { apiKey, tls, ...options } = first;
  const key = apiKey === undefined ? undefined : currentApiKey(apiKey, env);
  if (typeof tls !== 'object' || !tls.clientCertPair) {
    return Connection.lazy({ ...first, connectTimeout, ...(key && { apiKey: key }) });
  }
  const { serverNameOverride: name } = tls;
  const read = (): TemporalConnectionOptions['tls'] => {
    const target = resolveTemporal(env);
    return target.kind === 'external' ? target.connection.tls : undefined;
  };
  const connection = Connection.lazy({
    ...options,
    connectTimeout,
    credentials: renewedCertificate(tls, read),
    ...(name && { channelArgs: { 'grpc.ssl_target_name_override': name, 'grpc.default_authority': name } }),
  });
  // Among the options the SDK takes no key beside credentials.
  if (key) connection.setApiKey(key);
  return connection;
}

function readProfile(env: NodeJS.ProcessEnv): ClientConfigProfile {
  const given = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  try {
    return loadClientConfigProfile({ overrideEnvVars: given });
  } catch (error) {
    // Its further lines quote the file, and with it perhaps a key: they are left out, and it is no cause whose stack could be shown.
    const [reason] = (error as Error).message.split('\n');
    throw new TemporalConnectionError(`The Temporal settings (temporal.toml, TEMPORAL_*) can not be read: ${reason}`);
  }
}

/** A connected client with what closes it, and what the server says of itself. */
export interface ConnectedClient {
  client: Client;
  connection: Connection;
  serverVersion: string;
  close(): Promise<void>;
}

/**
 * Connects a client and makes sure that the namespace exists and may be used.
 *
 * @throws TemporalConnectionError within `timeoutMs`, by default 10 s; PayloadKeyError where CADA_PAYLOAD_KEYS is malformed.
 */
export async function connectClient(
  endpoint: TemporalEndpoint,
  timeoutMs: number = DEFAULT_TIMEOUT_MS,
): Promise<ConnectedClient> {
  const converter = dataConverter(process.env);
  let connection: Connection | undefined;
  try {
    const opened = clientConnection(endpoint.connection ?? { address: endpoint.address }, process.env, timeoutMs);
    connection = opened;
    await opened.ensureConnected();
    const serverVersion = await opened.withDeadline(Date.now() + timeoutMs, async () => {
      const { serverVersion } = await opened.workflowService.getSystemInfo({});
      await opened.workflowService.describeNamespace({ namespace: endpoint.namespace });
      return serverVersion;
    });
    const client = new Client({ connection: opened, namespace: endpoint.namespace, dataConverter: converter });
    return { client, connection: opened, serverVersion: serverVersion ?? 'unknown', close: () => opened.close() };
  } catch (error) {
    await connection?.close();
    throw await explain(error, endpoint);
  }
}

/**
 * Connects a worker's native connection; the namespace is checked when the worker starts.
 *
 * @throws TemporalConnectionError within `timeoutMs`, by default 10 s.
 */
export async function connectWorker(
  endpoint: TemporalEndpoint,
  timeoutMs: number = DEFAULT_TIMEOUT_MS,
): Promise<NativeConnection> {
  // Loaded here only: the native library costs every command that has no worker a good part of a second.
  const { NativeConnection } = await import('@temporalio/worker');
  const connecting = NativeConnection.connect(endpoint.connection ?? { address: endpoint.address });
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
  });
  try {
    return await Promise.race([connecting, timeout]);
  } catch (error) {
    // A connection that comes after all is not left open.
    void connecting.then(
      (late) => late.close(),
      () => {},
    );
    throw await explain(error, endpoint);
  } finally {
    clearTimeout(timer);
  }
}

/** gRPC status codes that tell the causes apart. */
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const UNAUTHENTICATED = 16;

/** Turns what a gRPC library threw into a message with cause and remedy. */
async function explain(error: unknown, endpoint: TemporalEndpoint): Promise<TemporalConnectionError> {
  const { address, namespace, connection } = endpoint;
  const { code, message, details } = error as { code?: unknown; message: string; details?: string };
  const reason = details || message;
  const say = (text: string): TemporalConnectionError => new TemporalConnectionError(text, error);
  if (code === NOT_FOUND) {
    return say(
      `The Temporal server at ${address} has no namespace "${namespace}": create it (temporal operator namespace create --namespace ${namespace}) ` +
        'or set TEMPORAL_NAMESPACE',
    );
  }
  if (
    code === UNAUTHENTICATED ||
    code === PERMISSION_DENIED ||
    /unauthenticated|permission.?denied|unauthorized/i.test(reason)
  ) {
    const remedy = connection?.apiKey
      ? 'the API key is not accepted there: check TEMPORAL_API_KEY and TEMPORAL_NAMESPACE'
      : 'it asks for credentials: set TEMPORAL_API_KEY, or TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH';
    return say(`The Temporal server at ${address} refused access to namespace "${namespace}" (${reason}); ${remedy}`);
  }
  const failure = await probeEndpoint(endpoint);
  if (failure?.step === 'tls') {
    return say(
      `No TLS connection to the Temporal server at ${address} (${failure.reason}): if it serves plain text, unset TEMPORAL_TLS and TEMPORAL_API_KEY; ` +
        'if its certificate is from a private authority, set TEMPORAL_TLS_SERVER_CA_CERT_PATH',
    );
  }
  if (failure) {
    return say(
      `No Temporal server can be reached at ${address} (${failure.reason}): check the address, and that the server runs and is reachable from here; ` +
        'without an address an embedded server is used',
    );
  }
  const tlsHint = connection?.tls ? '' : '; if it needs TLS, set TEMPORAL_TLS=true';
  return say(
    `What listens at ${address} does not answer as a Temporal server (${reason}): check the address${tlsHint}`,
  );
}
