import type { SuffixEngine } from '../attack/suffixRequest.ts';
import type { DeviceUse, EngineErrorKind, EngineProgress, PolicyEngine } from '../policy.ts';

type Engine = PolicyEngine & SuffixEngine;

/** The verbs that the engine's process serves. `close` ends it; its peak memory and its device come with every answer. */
export type VerbName = Exclude<keyof Engine, 'close' | 'peakMemoryBytes' | 'deviceUse'>;

export type VerbArgument<Name extends VerbName> = Parameters<Engine[Name]>[0];
export type VerbResult<Name extends VerbName> = Awaited<ReturnType<Engine[Name]>>;

/** Parent to engine. Calls are served one at a time, in order. */
export interface CallMessage {
  call: number;
  verb: VerbName;
  argument: unknown;
}

/** Engine to parent. */
export type ReplyMessage = ProgressMessage | ResultMessage | ErrorMessage;

export interface ProgressMessage {
  call: number;
  progress: EngineProgress;
}

export interface ResultMessage {
  call: number;
  result: unknown;
  peakMemoryBytes: number;
  /** Once a session was opened. */
  device?: DeviceUse;
}

export interface ErrorMessage {
  call: number;
  error: { kind: EngineErrorKind; message: string; stack?: string };
  peakMemoryBytes: number;
}
