/**
 * Child process of `hubModel.ts`: reads `{name, revision, hubUrl}` as JSON from its first argument and prints one line of JSON:
 * the commit that the revision stands for and the files of the repository's root at that commit.
 */
import { listFiles, modelInfo } from '@huggingface/hub';

interface Question {
  name: string;
  revision: string;
  hubUrl: string;
}

try {
  const { name, revision, hubUrl } = JSON.parse(process.argv[2] ?? '') as Question;
  const accessToken = process.env['HF_TOKEN'];
  const access = { hubUrl, ...(accessToken ? { accessToken } : {}) };
  const { sha } = await modelInfo({ name, revision, additionalFields: ['sha'], ...access });
  const files: { path: string; size: number; sha256?: string; gitBlob?: string }[] = [];
  for await (const { type, path, size, oid, lfs } of listFiles({
    repo: { type: 'model', name },
    revision: sha,
    ...access,
  })) {
    if (type !== 'file') continue;
    files.push(lfs ? { path, size: lfs.size, sha256: lfs.oid } : { path, size, ...(oid ? { gitBlob: oid } : {}) });
  }
  console.log(JSON.stringify({ commit: sha, files }));
} catch (error) {
  const cause = (error as Error).cause;
  console.error(`${(error as Error).message}${cause instanceof Error ? ` (${cause.message})` : ''}`);
  process.exit(1);
}
