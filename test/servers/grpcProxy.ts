/** A gRPC server in front of a Temporal server that looks at credentials as Temporal Cloud does: API keys in the headers, or client certificates. */
import { connect, createSecureServer, createServer, constants } from 'node:http2';
import type { IncomingHttpHeaders, SecureServerOptions, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** Whose request it is: the API key, and the name in the client's certificate. */
export interface Caller {
  apiKey?: string;
  certificate?: string;
}

export interface GrpcProxy {
  /** "127.0.0.1:PORT" */
  address: string;
  /** Requests of others are answered UNAUTHENTICATED. */
  accepts: (caller: Caller) => boolean;
  /** Requests so far, by what `name` makes of their callers. */
  served(name: (caller: Caller) => string | undefined): Map<string, number>;
  /** Requests that were refused. */
  refused: Caller[];
  /** Ends every connection there is: clients come again. */
  cut(): void;
  stop(): Promise<void>;
}

const UNAUTHENTICATED = 16;

/**
 * @param target "host:port" of the server, without TLS.
 * @param tls key, certificate and authority: clients must show a certificate of it. Absent = no TLS.
 */
export async function startGrpcProxy(target: string, tls?: SecureServerOptions): Promise<GrpcProxy> {
  const upstream = connect(`http://${target}`);
  const sessions = new Set<ServerHttp2Session>();
  const callers: Caller[] = [];
  const server = tls ? createSecureServer({ ...tls, requestCert: true, rejectUnauthorized: true }) : createServer();
  const proxy: GrpcProxy = {
    address: '',
    accepts: () => true,
    refused: [],
    served(name) {
      const counts = new Map<string, number>();
      for (const caller of callers) {
        const called = name(caller);
        if (called !== undefined) counts.set(called, (counts.get(called) ?? 0) + 1);
      }
      return counts;
    },
    cut: () => sessions.forEach((session) => session.destroy()),
    stop: () =>
      new Promise((done) => {
        server.close(() => done());
        proxy.cut();
        upstream.destroy();
      }),
  };
  upstream.on('error', () => undefined);
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined);
    const caller = callerOf(stream, headers);
    if (!proxy.accepts(caller)) {
      proxy.refused.push(caller);
      const refusal = { 'grpc-status': String(UNAUTHENTICATED), 'grpc-message': 'Request unauthorized.' };
      return stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...refusal }, { endStream: true });
    }
    callers.push(caller);
    pass(stream, headers);
  });

  function pass(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const asked = upstream.request({ ...headers, ':scheme': 'http' });
    let trailers: IncomingHttpHeaders = {};
    asked.on('error', () => stream.destroy());
    asked.on('response', (answer, flags) => {
      if (stream.destroyed) return;
      if (flags & constants.NGHTTP2_FLAG_END_STREAM) stream.respond(answer, { endStream: true });
      else {
        stream.respond(answer, { waitForTrailers: true });
        asked.pipe(stream);
      }
    });
    asked.on('trailers', (found) => (trailers = found));
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.on('close', () => asked.destroy());
    stream.pipe(asked);
  }

  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  proxy.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}

function callerOf(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Caller {
  const socket = stream.session?.socket as TLSSocket | undefined;
  const certificate = socket?.getPeerCertificate?.()?.subject?.CN;
  const apiKey = headers.authorization?.replace(/^Bearer /, '');
  return {
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(typeof certificate === 'string' ? { certificate } : {}),
  };
}
