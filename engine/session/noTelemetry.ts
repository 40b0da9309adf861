/**
 * From 1.29 on ONNX Runtime's published libraries send what they do (names and digests of graphs and weights, the machine, errors) to their maker unless this
 * says no before the library is loaded; then they make no identifier of the machine and no queue of events in `~/.cache/Microsoft` either.
 * Whatever stood there before: CADA sends nothing to anybody that its user has not named (docs/security.md).
 */
process.env['ORT_DISABLE_TELEMETRY'] = '1';
