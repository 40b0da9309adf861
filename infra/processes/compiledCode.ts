/** Compiled JavaScript, kept from one start of a process to the next: much of what a start takes is compiling. */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { cadaCache } from '../paths.ts';

/**
 * From here on this process, and those that inherit its environment, read what earlier ones have compiled and keep what they compile, in a folder of
 * `CADA_CACHE`: Node's own choice, in the system's folder of temporary files, could be anybody's. Where nothing can be written all works as without.
 * `NODE_COMPILE_CACHE` (another folder) and `NODE_DISABLE_COMPILE_CACHE=1` are Node's.
 */
export function keepCompiledCode(env: NodeJS.ProcessEnv): void {
  env.NODE_COMPILE_CACHE ||= join(cadaCache(env), 'compiled');
  enableCompileCache(env.NODE_COMPILE_CACHE);
}
