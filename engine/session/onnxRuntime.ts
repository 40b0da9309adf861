/** The only door to ONNX Runtime: what must be said before its library is loaded is said here first. */
import './noTelemetry.ts';

export * from 'onnxruntime-node';
