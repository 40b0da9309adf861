/** Kept apart from the interceptor, which is bundled for the workflow sandbox. */
export const heartbeatTimeoutMs = 30_000;
