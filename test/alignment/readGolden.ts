/** Reads the reference numbers beside the repository (shared/golden), where they are present. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '..', '..', '..', 'shared', 'golden');

/** Whether a case is there; says so on the console where it is not, so that a skipped test has its reason. */
export function hasGolden(name: string): boolean {
  const present = existsSync(join(folder, name));
  if (!present) console.warn(`skipped: no reference numbers at ../shared/golden/${name}`);
  return present;
}

/** The float64 arrays of one safetensors file of a case. */
export function readGolden(name: string, file: string): Record<string, number[]> {
  const bytes = readFileSync(join(folder, name, file));
  const headerLength = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { dtype: string; data_offsets: [number, number] }
  >;
  return Object.fromEntries(
    Object.entries(header)
      .filter(([, entry]) => entry.dtype === 'F64')
      .map(
        ([
          key,
          {
            data_offsets: [start, end],
          },
        ]) => {
          const first = 8 + headerLength + start;
          return [key, Array.from({ length: (end - start) / 8 }, (_value, i) => bytes.readDoubleLE(first + 8 * i))];
        },
      ),
  );
}
