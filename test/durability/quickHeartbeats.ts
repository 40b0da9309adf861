/** A workflow interceptor: silence of a worker is noticed after 30 seconds, where the stages wait for 45 and more. */
import type { WorkflowInterceptorsFactory } from '@temporalio/workflow';

export const interceptors: WorkflowInterceptorsFactory = () => ({
  outbound: [
    {
      scheduleActivity(input, next) {
        const { options } = input;
        if (options.heartbeatTimeout === undefined) return next(input);
        return next({ ...input, options: { ...options, heartbeatTimeout: '30 seconds' } });
      },
    },
  ],
});
