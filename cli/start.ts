/** Where cada.js goes on: the command's own modules are loaded once Node knows where compiled code is kept. */
import { keepCompiledCode } from '../infra/processes/compiledCode.ts';

export async function start(): Promise<void> {
  keepCompiledCode(process.env);
  const command = await import('./main.ts');
  await command.start();
}
