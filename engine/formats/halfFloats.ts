/** 16-bit floats to float32, exactly. */

let float16Table: Float32Array | undefined;

/** float32 value of every float16 bit pattern (65,536 entries): one lookup an element is the fastest way without Float16Array. */
export function float16Values(): Float32Array {
  if (!float16Table) {
    float16Table = new Float32Array(65_536);
    for (let bits = 0; bits < 65_536; bits++) float16Table[bits] = float16Value(bits);
  }
  return float16Table;
}

export function float16ToFloat32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const table = float16Values();
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i]!]!;
  return values;
}

export function bfloat16ToFloat32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
