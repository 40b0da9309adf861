/** Plain arithmetic on numbers in a row, for what operators are expected to give. */

export const each =
  (f: (x: number) => number) =>
  ([x]: Float64Array[]) =>
    x!.map(f);
export const rows = (x: Float64Array, width: number, f: (row: Float64Array) => ArrayLike<number>) =>
  Array.from({ length: x.length / width }, (_, i) => [...Array.from(f(x.subarray(i * width, (i + 1) * width)))]).flat();
export const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
export const positive = (random: number) => 1.5 + random;
export const softmax = (row: Float64Array) => row.map((x) => Math.exp(x) / sum(row.map(Math.exp)));

/** Product of [m, k] and [k, n] given by their elements. */
export const product = (
  m: number,
  k: number,
  n: number,
  a: (i: number, j: number) => number,
  b: (i: number, j: number) => number,
) =>
  Array.from({ length: m * n }, (_, at) =>
    sum(Array.from({ length: k }, (_value, j) => a(Math.floor(at / n), j) * b(j, at % n))),
  );
/** Applies a function to each column of a matrix. */
export const columns = (x: Float64Array, width: number, f: (column: Float64Array) => Float64Array) => {
  const result = new Float64Array(x.length);
  for (let column = 0; column < width; column++)
    f(x.filter((_, i) => i % width === column)).forEach((value, i) => (result[i * width + column] = value));
  return result;
};
