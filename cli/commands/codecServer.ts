/** `cada codec-server`: shows encrypted payloads in the Temporal UI. */
import { once } from 'node:events';
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { print, remark } from '../context.ts';
import type { CommandContext } from '../context.ts';
import { badInput } from '../errors.ts';

/** Where the UI of a Temporal dev server is by default. */
const defaultOrigins = ['http://localhost:8233', 'http://127.0.0.1:8233'];

export function addCodecServerCommand(program: Command, context: CommandContext): void {
  program
    .command('codec-server')
    .description(
      'Decrypts payloads for the Temporal UI and CLI with the keys of CADA_PAYLOAD_KEYS, on this machine alone, until stopped.',
    )
    .option('--port <n>', 'port on 127.0.0.1', portNumber, 8888)
    .option(
      '--ui <origin...>',
      `addresses of the UI, whose pages are answered (default: ${defaultOrigins.join(' ')})`,
      (value: string, others: string[] = []) => [...others, originOf(value)],
    )
    .action(async ({ port, ui }: { port: number; ui?: string[] }) => {
      const [{ startCodecServer }, { payloadKeys, payloadKeysVariable }] = await Promise.all([
        import('../../infra/temporal/codecServer.ts'),
        import('../../infra/temporal/payloadCodec.ts'),
      ]);
      const keys = payloadKeys(context.env);
      if (keys.length === 0)
        throw badInput(
          `${payloadKeysVariable} is not set: there is nothing to decrypt with.`,
          'Set it as for the workers.',
        );
      const origins = ui ?? defaultOrigins;
      const server = await startCodecServer({ keys, port, origins });
      try {
        print(context, `Codec server: ${server.address}`);
        remark(context, `Answers pages of ${origins.join(', ')}. Ctrl-C ends it.`);
        if (!context.signal.aborted) await once(context.signal, 'abort');
      } finally {
        await server.close();
      }
    });
}

function portNumber(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('A port is a number up to 65535.');
  return port;
}

/** Scheme, host and port of an address; a path is left off. */
function originOf(text: string): string {
  const { protocol, origin } = URL.parse(text) ?? {};
  if (!origin || !/^https?:$/.test(protocol ?? '')) throw new InvalidArgumentError('Write http://host:port.');
  return origin;
}
