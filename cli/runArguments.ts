/** How commands are told which run, and in which store: the same words everywhere. */

export const runArgument = ['[run]', 'run id, or its beginning (default: the latest)'] as const;
/** Of commands that never take the latest run by themselves. */
export const namedRunArgument = ['<run>', 'run id, or its beginning'] as const;
export const storeOption = ['--store <address>', 'artifact store (default: CADA_STORE, else in CADA_HOME)'] as const;
export const detachOption = [
  '--detach',
  'hand the run to an external Temporal server and its workers, and return',
] as const;
export const waitOption = ['--wait', 'stay when the run waits for its operator'] as const;
