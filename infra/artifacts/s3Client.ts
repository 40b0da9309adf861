import { S3Client } from '@aws-sdk/client-s3';
import type { PutObjectCommandInput, S3ClientConfig } from '@aws-sdk/client-s3';
import { InvalidKeyError, StoreUnavailableError } from './errors.ts';
import { checkSegment } from './keys.ts';
import { countRequest } from './requestCount.ts';
import { renewWhenRefused } from './renewedCredentials.ts';

export interface S3StoreOptions {
  /** Objects from this size on are sent in parts. @default 64 MiB */
  multipartBytes?: number;
  /** Size of a part; S3 allows no less than 5 MiB. @default 16 MiB */
  partBytes?: number;
  /** Keys a listing page, at most 1000. @default 1000 */
  pageSize?: number;
  /** Tries of one request, with growing pauses. @default AWS_MAX_ATTEMPTS, else 5 */
  maxAttempts?: number;
  /** Anything else of the client, e.g. credentials that are not in the environment. */
  client?: S3ClientConfig;
}

/** Where an S3 store is and what goes with every write. */
export interface S3Place {
  client: S3Client;
  bucket: string;
  /** Without slashes at its ends; may be empty. */
  prefix: string;
  /** For messages. */
  endpoint: string;
  /** Encryption fields of a write. */
  encryption: Pick<PutObjectCommandInput, 'ServerSideEncryption' | 'SSEKMSKeyId'>;
  /** Whether the server checks our SHA-256 of each write. */
  checksums: boolean;
}

/**
 * Reads `s3://bucket/prefix` and the environment. Region, endpoint and credentials come from the AWS SDK's own chain
 * (`AWS_REGION`, `AWS_ENDPOINT_URL_S3`, profiles, roles); ours are `CADA_S3_PATH_STYLE` (default: on with an own
 * endpoint), `CADA_S3_SSE`, `CADA_S3_SSE_KMS_KEY_ID` and `CADA_S3_CHECKSUM` (`sha256` or `none`). Credentials that were
 * exchanged since are fetched when the server refuses a request (renewedCredentials.ts).
 *
 * @throws InvalidKeyError for a malformed address or setting
 */
export function s3Place(uri: string, env: NodeJS.ProcessEnv, options: S3StoreOptions): S3Place {
  const { bucket, prefix } = parseUri(uri);
  const endpoint = env['AWS_ENDPOINT_URL_S3'] || env['AWS_ENDPOINT_URL'];
  const region = env['AWS_REGION'] || env['AWS_DEFAULT_REGION'] || (endpoint && 'us-east-1');
  const checksums = oneOf(env, 'CADA_S3_CHECKSUM', ['sha256', 'none'] as const) !== 'none';
  const encryption = oneOf(env, 'CADA_S3_SSE', ['AES256', 'aws:kms', 'aws:kms:dsse'] as const);
  const key = env['CADA_S3_SSE_KMS_KEY_ID'];
  if (key && !encryption?.startsWith('aws:kms')) {
    throw new InvalidKeyError('CADA_S3_SSE_KMS_KEY_ID needs CADA_S3_SSE=aws:kms (or aws:kms:dsse).');
  }
  const pathStyle = oneOf(env, 'CADA_S3_PATH_STYLE', ['true', 'false', '1', '0'] as const);
  const client = new S3Client({
    ...(endpoint ? { endpoint } : {}),
    ...(region ? { region } : {}),
    forcePathStyle: pathStyle === undefined ? Boolean(endpoint) : pathStyle === 'true' || pathStyle === '1',
    maxAttempts: options.maxAttempts ?? (Number(env['AWS_MAX_ATTEMPTS']) || 5),
    // Silence is given up before the stages' heartbeat timeout (45 s): the shard whose result is sent is not lost.
    requestHandler: { connectionTimeout: 5_000, socketTimeout: 30_000 },
    ...credentialFilesAnew,
    ...(checksums ? {} : { requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' }),
    ...options.client,
  });
  // Within the SDK's own retries: each request that is sent counts.
  client.middlewareStack.add(
    (next) => (args) => {
      countRequest();
      return next(args);
    },
    { step: 'finalizeRequest', priority: 'low', name: 'countRequest' },
  );
  // Where the source gives none at all, asking it again at once gives none either.
  renewWhenRefused(
    client,
    (error) => failureOf(error) === 'refused' && (error as Error).name !== 'CredentialsProviderError',
  );
  return {
    client,
    bucket,
    prefix,
    endpoint: endpoint ?? `AWS (${region ?? 'region of the profile'})`,
    encryption: {
      ...(encryption ? { ServerSideEncryption: encryption } : {}),
      ...(key ? { SSEKMSKeyId: key } : {}),
    },
    checksums,
  };
}

/** Handed on to the SDK's credential chain (`SharedConfigInit`): without it the shared files are read once a process, whatever happens to them. */
const credentialFilesAnew = { ignoreCache: true };

/** Error codes of a connection, as against those of a local disk. */
const NETWORK = /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_|EHOST|ENET|EPROTO|ERR_STREAM_PREMATURE|ERR_SSL|ERR_TLS|.*CERT)/;

/** S3's error codes for credentials that it does not take; the last one is versitygw's for an unknown key id, with status 404. */
const CREDENTIALS = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'AccessDenied',
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  'XAdminUserNotFound',
]);

/** What an error of the SDK means to the store. */
export type S3Failure = 'absent' | 'precondition' | 'transient' | 'refused' | 'other';

export function failureOf(error: unknown): S3Failure {
  const { name, code, $metadata } = error as { name?: string; code?: string; $metadata?: { httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode;
  if (name === 'NoSuchBucket' || name === 'CredentialsProviderError' || /region is missing/i.test(String(error))) {
    return 'refused';
  }
  // By name before by status: an unknown key id is no absent object.
  if (CREDENTIALS.has(name ?? '')) return 'refused';
  if (name === 'NotFound' || name === 'NoSuchKey' || status === 404) return 'absent';
  // 409: two conditional writes met; which one holds shows in a read.
  if (status === 412 || status === 409 || name === 'PreconditionFailed') return 'precondition';
  if (wasDamagedOnTheWay(error) || isServerFull(error)) return 'transient';
  if (status === 400 || status === 401 || status === 403 || status === 301) return 'refused';
  const unanswered = NETWORK.test(code ?? '') || /timeout|hang up|network|aborted/i.test(`${name} ${String(error)}`);
  if (status === undefined ? unanswered : status >= 500 || status === 429) return 'transient';
  return 'other';
}

/** The server got other bytes than we sent, or too few: it says so with a status that else means a wrong request. */
export function wasDamagedOnTheWay(error: unknown): boolean {
  const { name } = (error ?? {}) as { name?: string };
  return DAMAGED.has(name ?? '');
}

const DAMAGED = new Set([
  'BadDigest',
  'IncompleteBody',
  'RequestTimeout',
  'XAmzContentChecksumMismatch',
  'XAmzContentSHA256Mismatch',
]);

/** The server has no room for what it was sent, or the bucket's quota is used up. It may have later: what is sent again then goes through. */
function isServerFull(error: unknown): boolean {
  const { name, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
  return $metadata?.httpStatusCode === 507 || FULL.has(name ?? '');
}

/** As versitygw, MinIO and Ceph call it; the last two send 400 and 403 with a quota. */
const FULL = new Set(['InsufficientStorage', 'XMinioStorageFull', 'XMinioAdminBucketQuotaExceeded', 'QuotaExceeded']);

/** What the store does, and what to do about it. */
function causeAndRemedy(error: unknown, failure: 'transient' | 'refused'): [what: string, remedy: string] {
  if (isServerFull(error))
    return [
      'has no room left',
      "Make room on the server's disk, or raise the bucket's quota. Finished work is kept: the run goes on from it.",
    ];
  if (failure === 'transient')
    return [
      'does not answer',
      'It was tried several times. Check that the server runs and can be reached from here (AWS_ENDPOINT_URL_S3, network, proxy).',
    ];
  if ((error as Error).name === 'NoSuchBucket')
    return ['refuses the request', 'Make the bucket, or correct CADA_STORE.'];
  return [
    'refuses the request',
    'Check the credentials, the rights on the bucket (docs/artifacts.md lists them) and the region (AWS_REGION).',
  ];
}

/** The error for the person who runs CADA: endpoint, bucket, cause, remedy. Errors that are none of S3's pass unchanged. */
export function explained(error: unknown, place: S3Place): unknown {
  const failure = failureOf(error);
  if (failure !== 'transient' && failure !== 'refused') return error;
  const { name, code, message } = error as Error & { code?: string };
  const cause = [code ?? name, message].filter(Boolean).join(': ');
  const [what, remedy] = causeAndRemedy(error, failure);
  return new StoreUnavailableError(
    `the S3 store at ${place.endpoint}, bucket "${place.bucket}", ${what} (${cause}). ${remedy}`,
    { cause: error, transient: failure === 'transient' },
  );
}

function parseUri(uri: string): { bucket: string; prefix: string } {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/i.exec(uri);
  if (!match) throw new InvalidKeyError(`"${uri}" is not an S3 address: write s3://bucket/prefix.`);
  const prefix = (match[2] ?? '').replace(/\/$/, '');
  if (prefix !== '')
    for (const segment of prefix.split('/')) checkSegment(segment, `part of the S3 prefix in "${uri}"`);
  return { bucket: match[1] as string, prefix };
}

function oneOf<T extends string>(env: NodeJS.ProcessEnv, name: string, allowed: readonly T[]): T | undefined {
  const value = env[name];
  if (value === undefined || value === '') return undefined;
  const found = allowed.find((each) => each === value);
  if (!found) throw new InvalidKeyError(`${name}=${value} is not allowed: use one of ${allowed.join(', ')}.`);
  return found;
}
