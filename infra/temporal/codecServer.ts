/**
 * Shows payloads to the Temporal UI and the `temporal` CLI as they were before they were sent (decrypted, references with the whole address of the store), over the protocol of codec servers: POST .../decode and .../encode with
 * `{"payloads": [{"metadata": {name: base64}, "data": base64}]}`, answered in kind. Listens on the loopback address; browsers are answered for the
 * origins of the UI only, and only under a loopback name, so that no other page can have payloads decrypted (nor by rebinding its own name).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Payload } from '@temporalio/common';
import { z } from 'zod';
import { createPayloadCodec, PayloadKeyError, type PayloadKey } from './payloadCodec.ts';
import { shortReferences } from './shortReferences.ts';

export interface CodecServerOptions {
  /** None: what is encrypted is refused. */
  keys: readonly PayloadKey[];
  /** @default a free one */
  port?: number;
  /** Origins whose pages may ask: `http://localhost:8233`. */
  origins: readonly string[];
}

export interface CodecServer {
  /** `http://127.0.0.1:PORT` */
  address: string;
  close(): Promise<void>;
}

const mostBytes = 16 * 2 ** 20;

/** Starts the server. @throws Error where the port is taken. */
export async function startCodecServer(options: CodecServerOptions): Promise<CodecServer> {
  const server = createServer((request, response) => {
    answer(request, options).then(
      (reply) => send(response, reply),
      (error: unknown) =>
        send(response, { status: error instanceof Refusal ? error.status : 500, text: messageOf(error) }),
    );
  });
  await new Promise<void>((listening, fail) => {
    server.once('error', fail);
    server.listen({ host: '127.0.0.1', port: options.port ?? 0 }, listening);
  });
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

interface Reply {
  status: number;
  headers?: Record<string, string>;
  text?: string;
  json?: unknown;
}

class Refusal extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function answer(request: IncomingMessage, { keys, origins }: CodecServerOptions): Promise<Reply> {
  const host = new URL(`http://${request.headers.host ?? ''}`).hostname;
  if (!['127.0.0.1', 'localhost', '[::1]'].includes(host))
    throw new Refusal(403, `the host name ${host} is not a loopback name`);
  const { origin } = request.headers;
  if (origin !== undefined && !origins.includes(origin)) {
    throw new Refusal(403, `pages of ${origin} are not answered: start the server with --ui ${origin}`);
  }
  const headers: Record<string, string> = { vary: 'Origin' };
  if (origin !== undefined) {
    headers['access-control-allow-origin'] = origin;
    headers['access-control-allow-credentials'] = 'true';
    headers['access-control-allow-methods'] = 'POST, OPTIONS';
    headers['access-control-allow-headers'] = 'authorization, content-type, x-namespace';
    // Chrome asks this of pages of the internet (Temporal Cloud) that call the loopback address.
    if (request.headers['access-control-request-private-network'])
      headers['access-control-allow-private-network'] = 'true';
  }
  if (request.method === 'OPTIONS') return { status: 204, headers };
  // Only the end of the path counts: the UI may put a namespace in front.
  const verb = new URL(request.url ?? '/', 'http://host').pathname.split('/').at(-1);
  if (verb !== 'decode' && verb !== 'encode') throw new Refusal(404, 'the paths are /decode and /encode');
  if (request.method !== 'POST') throw new Refusal(405, 'payloads are sent by POST');
  const payloads = parsePayloads(await bodyOf(request));
  const encryption = createPayloadCodec(keys);
  try {
    const coded =
      verb === 'decode'
        ? await shortReferences.decode(await encryption.decode(payloads))
        : await encryption.encode(await shortReferences.encode(payloads));
    return { status: 200, headers, json: { payloads: coded.map(asJson) } };
  } catch (error) {
    if (error instanceof PayloadKeyError) return { status: 400, headers, text: error.message };
    throw error;
  }
}

const payloadsSchema = z.object({
  payloads: z.array(z.object({ metadata: z.record(z.string(), z.base64()).default({}), data: z.base64().default('') })),
});

function parsePayloads(body: string): Payload[] {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    throw new Refusal(400, 'the body is not JSON');
  }
  const parsed = payloadsSchema.safeParse(json);
  if (!parsed.success)
    throw new Refusal(400, 'the body is not {"payloads": [{"metadata": {name: base64}, "data": base64}]}');
  return parsed.data.payloads.map(({ metadata, data }) => ({
    metadata: Object.fromEntries(Object.entries(metadata).map(([name, value]) => [name, Buffer.from(value, 'base64')])),
    data: Buffer.from(data, 'base64'),
  }));
}

function asJson({ metadata, data }: Payload): object {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return {
    metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([name, value]) => [name, text(value)])),
    data: text(data ?? new Uint8Array(0)),
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > mostBytes) throw new Refusal(413, `the body has more than ${mostBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function send(response: ServerResponse, { status, headers, text, json }: Reply): void {
  const type = json === undefined ? 'text/plain; charset=utf-8' : 'application/json';
  response.writeHead(status, {
    ...headers,
    'content-type': type,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  });
  response.end(json === undefined ? (text ?? '') : JSON.stringify(json));
}

const messageOf = (error: unknown): string => (error instanceof Refusal ? error.message : 'it could not be answered');
