/** The bytes of a safetensors file with any header, well-formed or not. */
export function safetensorsBytes(
  header: string | object,
  data: Uint8Array = new Uint8Array(0),
  claimedLength?: bigint,
): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimedLength ?? BigInt(json.length));
  return Buffer.concat([length, json, data]);
}
