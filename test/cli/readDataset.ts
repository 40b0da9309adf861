/** The rows of an exported dataset, read by another library than the one that wrote them. */
import { join } from 'node:path';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import type { PreferenceRow, SftRow } from '../../alignment/dataset/datasetRows.ts';

export async function readDataset(folder: string, config: 'sft'): Promise<SftRow[]>;
export async function readDataset(folder: string, config: 'preference'): Promise<PreferenceRow[]>;
export async function readDataset(folder: string, config: string): Promise<object[]> {
  return parquetReadObjects({ file: await asyncBufferFromFile(join(folder, config, 'train.parquet')) });
}
