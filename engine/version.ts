/**
 * Version of what the engine computes: part of every step key. Raise it when the same inputs give other bits (another ONNX Runtime, another graph,
 * another order of addition).
 */
export const engineVersion = 'onnxruntime-1.30.0/1';
