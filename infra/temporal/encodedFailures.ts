/**
 * Failures whose message and stack trace travel as a payload, so that a codec encrypts them: they may quote requests and chains. Loaded by the SDK, in
 * the workflows' sandbox too: it may import nothing of ours.
 */
import { DefaultFailureConverter } from '@temporalio/common';

export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
